"""Sizes of files in words, the same in every front end."""


def file_size(count: float) -> str:
    """Return a size on disk in bytes, in powers of ten as Finder: `4.6 GB`."""
    if 0 < count < 1000:
        return f"{count:.0f} B"
    if count < 999_500:
        return f"{count / 1e3:.0f} KB"
    if count < 999_500_000:
        return f"{count / 1e6:.1f} MB" if count < 9_950_000 else f"{count / 1e6:.0f} MB"
    if count < 999_950_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e12:.1f} TB"
