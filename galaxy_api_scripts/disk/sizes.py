"""Sizes of files, as people write and read them."""
from __future__ import annotations

import re

from common import USAGE, GalaxyError, shorten

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_size(text: str, option: str) -> int:
    """Bytes: a number, alone or with K, M, G or T (powers of 1024) behind it; else a usage error naming `option`."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([KMGT]?)", text.strip(), re.IGNORECASE | re.ASCII)
    if not match:
        raise GalaxyError(f"{option}={shorten(text, 40)}: expected bytes, such as 500M, 10G or 1.5T", USAGE)
    return int(float(match[1]) * UNITS[match[2].upper()])


def format_bytes(size: float) -> str:
    """A number of bytes, to be read: `1.5 GB` (powers of 1024, as Galaxy shows sizes)."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if abs(size) < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
