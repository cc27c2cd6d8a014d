"""Numbers of bytes, as people write and read them: K, M, G and T are powers of 1024, and are shown as KiB, MiB, GiB, TiB."""
from __future__ import annotations

import re

from common import USAGE, GalaxyError, shorten

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse_bytes(text: str) -> float | None:
    """The bytes in a text: a number, alone or with K, M, G or T behind it; None for any other text."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([KMGT]?)", text, re.IGNORECASE | re.ASCII)
    return float(match[1]) * UNITS[match[2].upper()] if match else None


def parse_size(text: str, option: str) -> int:
    """The bytes in a text; a usage error that names `option` for one that is no size."""
    size = parse_bytes(text)
    if size is None:
        raise GalaxyError(f"{option}={shorten(text, 40)}: expected bytes, such as 500M, 10G or 1.5T", USAGE)
    return int(size)


def format_size(size: float | None) -> str:
    """A number of bytes for people, such as `13.0 KiB`."""
    if size is None:
        return "size unknown"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            break
        size, unit = size / 1024, "TiB"
    return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
