"""Content of any size with random access: bytes, real files and made-up weights."""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

MiB = 1 << 20


class Blob:
    """Immutable content with random access. Subclasses implement `size` and `read`."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        raise NotImplementedError

    def pieces(self, start: int, end: int, step: int = MiB) -> Iterator[bytes]:
        while start < end:
            data = self.read(start, min(step, end - start))
            yield data
            start += len(data)

    def digest(self, new_hash: Callable[[], Any]) -> str:
        h = new_hash()
        for piece in self.pieces(0, self.size):
            h.update(piece)
        return h.hexdigest()


class BytesBlob(Blob):
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


class FileBlob(Blob):
    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.size = self.path.stat().st_size

    def read(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as f:
            f.seek(offset)
            return f.read(length)


class SyntheticBlob(Blob):
    """`size` reproducible bytes that look random and take no disk space, after a real prefix."""

    def __init__(self, size: int, seed: int | str = 0, prefix: bytes = b"") -> None:
        if len(prefix) > size:
            raise ValueError("prefix is longer than the blob")
        self.size = size
        self.prefix = prefix
        self._block = hashlib.shake_128(f"standin:{seed}".encode()).digest(MiB)

    def _block_at(self, index: int) -> bytes:
        return struct.pack("<Q", index) + self._block[8:]

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        out = bytearray()
        while offset < end:
            index, skip = divmod(offset, MiB)
            piece = self._block_at(index)[skip : skip + end - offset]
            out += piece
            offset += len(piece)
        start = end - len(out)
        if start < len(self.prefix):
            head = self.prefix[start : start + len(out)]
            out[: len(head)] = head
        return bytes(out)


def as_blob(value: bytes | str | Path | Blob | dict | list) -> Blob:
    if isinstance(value, Blob):
        return value
    if isinstance(value, Path):
        return FileBlob(value)
    if isinstance(value, (dict, list)):
        value = json.dumps(value, indent=2)
    return BytesBlob(value.encode() if isinstance(value, str) else value)


DTYPE_SIZE = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "U8": 1, "I8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


def safetensors_blob(
    tensors: Mapping[str, tuple[str, list[int]]],
    metadata: Mapping[str, str] | None = None,
    seed: int | str = 0,
) -> SyntheticBlob:
    """A well-formed safetensors file: true header, synthetic data."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        count = 1
        for dim in shape:
            count *= dim
        end = offset + count * DTYPE_SIZE[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    prefix = struct.pack("<Q", len(raw)) + raw
    return SyntheticBlob(len(prefix) + offset, seed=seed, prefix=prefix)
