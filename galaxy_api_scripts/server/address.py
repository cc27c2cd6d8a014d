"""Where a Galaxy answers: at an address, or at one that was meant, and how it is reached."""
from __future__ import annotations

import os
import socket
import ssl
import time
from datetime import datetime, timezone
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import requests

from common import Galaxy, GalaxyError, origin
from galaxy_api_scripts.ages import server_time

PROBE_SECONDS = 5       # for each address that may have been meant
EARLY_SECONDS = 3       # in which Galaxy refuses an upload whose bytes have not come yet; 26.1 takes 0.02
PREFIXES = ("/galaxy",)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_galaxy(galaxy: Galaxy) -> bool:
    """Whether a Galaxy answers at the address."""
    try:
        answer = galaxy.get("version")
    except GalaxyError:
        return False
    return isinstance(answer, dict) and bool(answer.get("version_major"))


def find_meant(base: str, is_answered: bool) -> str:
    """The address of the Galaxy that was meant where none answers at `base`: one without its prefix or a part of it, with a
    usual one, by https in place of http, or the reverse; "" where none is found. The key is not sent there. Where nothing
    answered at all, only the latter is tried."""
    parts = urlsplit(base)
    names = [name for name in parts.path.split("/") if name]
    paths = ["".join(f"/{name}" for name in names[:length]) for length in range(len(names), -1, -1)]
    paths += [path + prefix for path in paths for prefix in PREFIXES if not path.endswith(prefix)]
    bare = parts.netloc.rpartition("@")[2]      # a password in the address is for that address
    other = {"http": "https", "https": "http"}[parts.scheme]
    known = {"http": ":80", "https": ":443"}[parts.scheme]
    for scheme, host in [(parts.scheme, bare)] * is_answered + [(other, bare.removesuffix(known))]:
        for path in paths if is_answered else [parts.path]:
            address = f"{scheme}://{host}{path}"
            if address == base:
                continue
            probe = Galaxy("anonymous", address, patience=0)
            probe.deadline = time.monotonic() + PROBE_SECONDS
            if is_galaxy(probe):
                return address
    return ""


def is_local(base: str) -> bool:
    """Whether the server is on this machine, so that nobody listens on the way."""
    return urlsplit(base).hostname in LOOPBACK


def clock_skew(response: requests.Response, asked: float) -> float | None:
    """How many seconds the server's clock is ahead of ours, by its answer to a request of the time `asked`, to a second or
    so; None if it does not tell."""
    date = server_time(response)
    if not date:
        return None
    answered, told = asked + response.elapsed.total_seconds(), date.timestamp()
    # Whatever within the request and the second that it names would be no skew at all.
    return told - answered if told > answered else min(0.0, told + 1 - asked)


def proxy_of_environment(base: str) -> str:
    """The proxy that this machine's environment names for the address, "" for none."""
    parts = urlsplit(base)
    return "" if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme, "")


def tls_context() -> ssl.SSLContext:
    """What verifies certificates as requests does."""
    authority = (os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
                 or requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context = ssl.create_default_context(cafile=None if os.path.isdir(authority) else authority,
                                         capath=authority if os.path.isdir(authority) else None)
    if os.environ.get("GALAXY_INSECURE") == "1":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def collects_bodies(base: str, path: str) -> bool | None:
    """Whether nginx waits for a body's last byte before Galaxy gets its first: a PATCH to `path`, which Galaxy refuses by
    its headers, is then not answered while bytes are missing. None where that can't be told. (It says nothing of Apache 2.4,
    which passes bytes on as they come, and an answer back after the last.)"""
    scheme, host, port = origin(base)
    if proxy_of_environment(base) or urlsplit(base).username:
        return None
    connection = (HTTPSConnection(host or "", port, timeout=10, context=tls_context()) if scheme == "https"
                  else HTTPConnection(host or "", port, timeout=10))
    try:
        connection.putrequest("PATCH", urlsplit(base).path + path)
        for name, value in (("Tus-Resumable", "1.0.0"), ("Upload-Offset", "0"), ("Content-Length", str(2**16)),
                            ("Content-Type", "application/offset+octet-stream")):
            connection.putheader(name, value)
        connection.endheaders(b"x" * 1024)
        connection.sock.settimeout(EARLY_SECONDS)
        return None if connection.getresponse().status in (408, 413) else False
    except socket.timeout:
        return True
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def fetch_certificate(base: str) -> dict[str, Any]:
    """The server's certificate as `ssl` describes it, verified, and the `version` of TLS. Raises OSError."""
    _, host, port = origin(base)
    with socket.create_connection((host, port), timeout=10) as plain, \
            tls_context().wrap_socket(plain, server_hostname=host) as tls:
        return {**(tls.getpeercert() or {}), "version": tls.version()}


def days_left(certificate: dict[str, Any]) -> int:
    """How many days the certificate is valid."""
    end = ssl.cert_time_to_seconds(certificate["notAfter"])
    return int((datetime.fromtimestamp(end, timezone.utc) - datetime.now(timezone.utc)).total_seconds() // 86400)
