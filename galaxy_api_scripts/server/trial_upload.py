"""How large a piece of an upload may be: sessions that get some bytes and are ended, so that nothing stays."""
from __future__ import annotations

import base64
import re

from common import BROKEN, Galaxy, GalaxyError, classify_failure
from galaxy_api_scripts.datasets.tus import LAST_HEADER, PIECE_HEADER, ROUTE, VERSION_HEADER

SMALLEST = 2**16        # bytes


def try_upload(galaxy: Galaxy, size: int) -> int:
    """The bytes of the largest piece that passes, of `size` and its halves. Raises `GalaxyError`, also if none does."""
    while True:
        try:
            send_piece(galaxy, size)
            return size
        except GalaxyError as error:
            cause = error.__cause__
            is_cut = isinstance(cause, Exception) and classify_failure(cause)[1] == BROKEN
            if size <= SMALLEST or not (error.status == 413 or is_cut):
                raise
        size //= 2


def send_piece(galaxy: Galaxy, size: int) -> None:
    """Send `size` bytes in one piece to a session of their own, and end it."""
    metadata = ",".join(f"{name} {base64.b64encode(value).decode()}" for name, value in (
        ("filename", b"trial"), ("filetype", b"application/octet-stream")))
    answer = galaxy.request("POST", ROUTE, headers={
        **VERSION_HEADER, "Upload-Length": str(size), "Upload-Metadata": metadata})
    session = answer.headers.get("Location", "").rstrip("/").rsplit("/", 1)[-1]
    if not re.fullmatch(r"[\w-]+", session):
        raise GalaxyError(f"{galaxy.base} named no upload session: does a proxy drop the Location header?")
    path = ROUTE + session
    try:
        galaxy.request("PATCH", path, data=bytes(size), patience=0, headers={
            **VERSION_HEADER, **PIECE_HEADER, **LAST_HEADER, "Upload-Offset": "0"})
        offset = galaxy.request("HEAD", path, headers=VERSION_HEADER).headers.get("Upload-Offset")
        if offset != str(size):
            raise GalaxyError(f"{galaxy.base} has {offset} bytes of an upload where {size} were sent")
    finally:
        galaxy.request("DELETE", path, headers={**VERSION_HEADER, **LAST_HEADER})
