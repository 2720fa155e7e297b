"""Prints the Homebrew cask of a release: `cask.py IMAGE OWNER/REPOSITORY`."""

import hashlib
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).with_name("mlx-model-manager.cask.rb")
_IMAGE = re.compile(r"MLX-Model-Manager-(\d[\w.]*)-arm64\.dmg")


def cask(image: Path, repository: str) -> str:
    """Return the cask for a disk image. Raises ValueError for an image of another name."""
    name = _IMAGE.fullmatch(image.name)
    if name is None:
        raise ValueError(f"{image.name} is not named as a release is")
    with image.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    text = TEMPLATE.read_text(encoding="utf-8")
    for mark, value in (
        ("@VERSION@", name[1]),
        ("@SHA256@", checksum),
        ("@REPOSITORY@", repository),
        ("@IMAGE@", image.name.replace(name[1], "#{version}")),
    ):
        text = text.replace(mark, value)
    return text


if __name__ == "__main__":
    sys.stdout.write(cask(Path(sys.argv[1]), sys.argv[2]))
