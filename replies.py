"""What comes back: whether to ask again and when, and what answers and broken connections say in words."""
from __future__ import annotations

import json
import random
import re
import time
from typing import Any
from urllib.parse import urlsplit

import requests

from outcome import REFUSED, TRY_LATER, USAGE, Refused, short

REPEATABLE = {"GET", "HEAD", "PUT", "DELETE"}   # asked twice, these do no more than asked once
PASSING = {408, 429, 502, 503, 504}             # states that pass by themselves
MAYBE_DONE = "the server may have done it all the same, so look before you send it again"


# ---------------------------------------------------------------------------------------------------------- asking again

class Patience:
    """How long to wait before the next try: exponential backoff with full jitter, 1 to 60 s, within a window of
    `seconds` from the first trouble on."""

    def __init__(self, seconds: float):
        self.seconds, self.end, self.longest = seconds, 0.0, 1.0

    def next(self, asked: float | None) -> float | None:
        """Seconds to wait; what the server `asked` for counts. None when that would be past the window."""
        now = time.monotonic()
        self.end = self.end or now + self.seconds
        left = self.end - now
        if left <= 0 or (asked or 0) > left:
            return None
        pause = max(asked or 0, min(random.uniform(0, self.longest), left))
        self.longest = min(self.longest * 2, 60)
        return pause


def unsent(error: Exception) -> bool:
    """Whether nothing can have reached the server: no such host, connection refused, no connection in time."""
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError)):
        return "Tunnel connection failed: 4" not in str(error)
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")


def broken_off(error: Exception) -> bool:
    """Whether the connection broke or the answer was late, so that the request may or may not have been served."""
    if isinstance(error, requests.exceptions.SSLError):
        return "EOF" in str(error)
    return isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout,
                              requests.exceptions.ChunkedEncodingError))


def worth_retrying(method: str, response: requests.Response, failures: int) -> bool:
    status = response.status_code
    if method in REPEATABLE:
        return status in PASSING or (status == 500 and failures == 1)
    return method in ("POST", "PATCH") and (status == 429 or (status == 503 and "Retry-After" in response.headers))


def retry_after(response: requests.Response | None) -> float | None:
    """How many seconds the server asks us to wait, from either form of `Retry-After` (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "") if response is not None else ""
    if re.fullmatch(r"\d+", text.strip()):
        return float(text)
    if text:
        from email.utils import parsedate_to_datetime
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError):
            pass
    return None


# -------------------------------------------------------------------------------------------------------------- in words

def unanswered(asked: str, method: str, error: Any) -> Refused:
    """The refusal for a request that no answer came to; `asked` says which one."""
    text = f"{asked}: {what_happened(error)}{_perhaps_too_large(error)}"
    if unsent(error):
        return Refused(f"{text}: is the address right, and is the server up?", TRY_LATER)
    if not broken_off(error):
        mistyped = isinstance(error, (ValueError, requests.exceptions.InvalidJSONError))
        return Refused(text, USAGE if mistyped else REFUSED)
    if method in REPEATABLE:
        return Refused(f"{text}: try again later", TRY_LATER)
    return Refused(f"{text}: {MAYBE_DONE}", lost=True)


def _perhaps_too_large(error: Any) -> str:
    """A word about a proxy's limit where the connection broke while more than nginx's, the least one, was sent."""
    size = body_size(error.request) if broken_off(error) and not isinstance(error, requests.exceptions.Timeout) else 0
    return f" (a proxy before Galaxy may take no body of {in_words(size)})" if size > 2**20 else ""


def refusal(asked: str, response: requests.Response, base: str, exit_code: int = REFUSED) -> Refused:
    """The refusal for an answer from the server `base`: what was asked, what came back, what to try."""
    status, body = response.status_code, body_text(response)
    said, details, code = galaxy_words(body)
    outcome = f"{status} {response.reason or ''}".rstrip()
    proxys = from_proxy(response, body)
    if proxys:
        outcome += ", from a proxy before Galaxy"
        said = "" if said.startswith(str(status)) else said     # the title of such a page is most often no more than that
    words = dict.fromkeys(short(part, 500).strip(": .,") for part in (outcome, said, "; ".join(details)))
    lost = response.request.method not in REPEATABLE and status in (408, 502, 503, 504)
    advice = MAYBE_DONE if lost else proxys_hint(response, base) if proxys else hint(response, said, code, base)
    return Refused(": ".join(part for part in (asked, *words, advice) if part), exit_code, status=status, body=body,
                   err_msg=said, lost=lost)


# The error pages that nginx and Apache make by themselves.
PROXYS_PAGES = re.compile(r"<center>(nginx|openresty)\b|<html><head>\n<title>\d{3} [^<\n]*</title>\n</head><body>\n<h1>")


def from_proxy(response: requests.Response, body: str) -> bool:
    """Whether it is certain that an answer that refuses is a proxy's and not Galaxy's.

    Galaxy's own errors are JSON, but for pages (404, in another form) and the text of a 500; it asks for no password in
    the way of browsers (26.1, measured).
    """
    status = response.status_code
    if _parsed(body) is not body:
        return False
    return (status in (413, 502, 504) or (status == 503 and "<html" in body.lower())
            or (status == 401 and "WWW-Authenticate" in response.headers) or bool(PROXYS_PAGES.search(body)))


def proxys_hint(response: requests.Response, base: str) -> str:
    """What to try after a proxy's refusal; "" where there is no advice."""
    status, asked = response.status_code, response.request
    if status == 401 and "Authorization" in asked.headers:
        return "it wants a name and password of its own, and does not take those that were sent"
    if status == 401:
        return "it asks for its own password: write NAME:PASSWORD@ before the host in the address"
    if status == 404:
        return f"it does not hand that address on: is {base} your Galaxy's address, with its prefix if it has one?"
    if status == 413:
        return f"it takes no body of {in_words(body_size(asked))}; its administrator can raise the limit (nginx: " \
               "client_max_body_size)"
    return "Galaxy is down or too slow: try again later" if status in PASSING else ""


def body_size(request: requests.PreparedRequest | None) -> int:
    """How many bytes the body of a request has; 0 where that is not known."""
    text = request.headers.get("Content-Length", "") if request is not None else ""
    return int(text) if text.isdecimal() else 0


def in_words(size: int) -> str:
    """A number of bytes in words."""
    return f"{size / 2**20:.3g} MiB" if size >= 2**20 else f"{size} bytes"


def hint(response: requests.Response, said: str, code: int | None, base: str) -> str:
    """What to try after an answer that refuses, with Galaxy's words and its `err_code`; "" where there is no advice."""
    status, asked = response.status_code, response.request
    if status in (401, 403) and "x-api-key" not in asked.headers:
        return "" if "Authorization" in asked.headers else "it was asked without a key"
    if status == 401 or "API key is not valid" in said:     # which some routes of Galaxy 26.1 answer with 403
        return f"check the key: key_show.py {base} EMAIL shows yours"
    if code == 403004:
        return "the server's administrator can allow it in galaxy.yml"
    if code == 403006 or (status == 403 and "administrators can" in said):
        return "this needs an administrator's key; the server's administrator names them in admin_users of galaxy.yml"
    if code in (403002, 403005) and re.search("/api/(libraries|folders)/", str(asked.url)):
        return "the library's managers and the server's administrator can permit it"
    if status == 404 and code is None:
        parts = urlsplit(str(asked.url))
        if "/api/" not in f"{parts.path}/":
            return f"addresses of the API have /api/ behind the server's own, as in {parts.scheme}://{parts.netloc}/api/users"
        return f"Galaxy knows no such address for {asked.method}: {base}/api/docs lists those it knows"
    if code == 400009 or (code == 400008 and "invalid id" in said.lower()):
        return "an id is what display.py shows in the field id"
    if code == 400008 and "should be a valid" in said:
        return "NAME=VALUE sends a string, NAME:=JSON any other type"
    if status == 500:
        return "Galaxy failed over it; its administrator's log says why"
    return "try again later" if status in PASSING else ""


def what_happened(error: Any) -> str:
    """What happened to a connection, in a few words."""
    text = str(error)
    if isinstance(error, (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)) or "SOCKS" in text or \
            "proxy" in text.lower():
        return "the proxy that your environment names can't be reached or refuses"
    if isinstance(error, requests.exceptions.SSLError) and not broken_off(error):
        if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text:
            found = re.search(r"certificate verify failed: ([^(\"']+)", text)
            why = f" ({found.group(1).strip()})" if found else ""
            return (f"its certificate does not verify{why}: set REQUESTS_CA_BUNDLE to your authority's file (PEM), or "
                    "GALAXY_INSECURE=1 to go without")
        return "no TLS at that port: does the address begin with http://?" if "WRONG_VERSION" in text else "TLS failed"
    if isinstance(error, requests.exceptions.InvalidJSONError):
        return "NaN and Infinity are no JSON"
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return "the answer's compression is broken"
    if isinstance(error, ValueError):       # InvalidURL and its like
        return "not the address of a server"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if unsent(error):
        if re.search("resol|getaddrinfo|Name or service|nodename", text, re.IGNORECASE):
            return "no such host"
        return "connection refused" if "refused" in text else "no connection"
    return "the connection broke before the answer was whole"


def body_text(response: requests.Response) -> str:
    """The beginning of the body, whatever it is."""
    try:
        return response.content[:100_000].decode(response.encoding or "utf-8", "replace")
    except (LookupError, ValueError, requests.RequestException):
        return ""


def page_title(text: str) -> str:
    """The title of an HTML page, "" where it has none."""
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return short(found.group(1), 100) if found else ""


def galaxy_words(body: str) -> tuple[str, list[str], int | None]:
    """What an answer says to people, which parts of the payload it finds wrong, and Galaxy's `err_code`."""
    answer = _parsed(body)
    if isinstance(answer, str) and answer == body:      # no JSON
        return page_title(body) or ("" if "<" in body[:200] else short(body)), [], None
    if not isinstance(answer, dict):
        return short(str(answer)), [], None
    said = answer.get("err_msg") or answer.get("detail") or ""
    errors = answer.get("validation_errors") or []
    if isinstance(said, list):      # FastAPI's own form, as the upload routes answer
        said, errors = "", said
    found = [finding for error in (errors if isinstance(errors, list) else [errors]) for finding in _findings(error)]
    code = answer.get("err_code")
    return short(str(said), 500), [one for one in found if one.partition(": ")[2] not in str(said)][:10], \
        code if isinstance(code, int) else None


def _findings(error: Any) -> list[str]:
    """`where: what` for each finding in one member of `validation_errors`, which may be JSON in a string."""
    error = _parsed(error) if isinstance(error, str) else error
    if isinstance(error, list):
        return [finding for one in error for finding in _findings(one)][:10]
    if not isinstance(error, dict):
        return [short(f": {error}")]
    where = error.get("loc")
    place = ".".join(map(str, where)) if isinstance(where, list) else ""
    return [short(f"{place}: {error.get('msg', '')}")]


def _parsed(text: str) -> Any:
    """The JSON in `text`, or `text` itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
