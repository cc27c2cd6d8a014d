"""Asking a Galaxy server: arguments, keys, requests, paging, waiting, printing, exit codes.

A new script starts from `arguments`, `Galaxy` and `run`:

    galaxy = Galaxy("-", "https://usegalaxy.org")       # - looks the key up
    for history in galaxy.pages("histories"):
        print(history["id"], history["name"])

Recipes written for the scripts that Galaxy once shipped find the names they import (`display`, `submit`, `update`,
`delete`, `get`, `post`, `put`, `make_url`) at the end. Everything that goes wrong is one exception, `Refused`.
"""
from __future__ import annotations

import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urljoin, urlsplit

try:
    import requests
except ModuleNotFoundError:
    sys.exit("the package requests is not installed: pip install -e . where README.md is")

import replies
from keys import (
    address,
    credentials,
    decoded,
    is_address,
    join,
    origin,
    read_text,
    server,
    with_scheme,
    without_key,
)
from outcome import (
    DONE,
    INTERRUPTED,
    PARTLY,
    REFUSED,
    STILL_RUNNING,
    TRY_LATER,
    USAGE,
    Refused,
    at_end,
    complain,
    keep_secret,
    one_line,
    redact,
    run,
    say,
    script_name,
    short,
)
from printing import (
    output,
    print_answer,
    print_members,
    print_response,
    show,
    show_request,
)

VERSION = "0.1.0"

__all__ = [     # what scripts and recipes import from here
    "DONE", "INTERRUPTED", "PARTLY", "REFUSED", "STILL_RUNNING", "TRY_LATER", "USAGE", "VERSION",
    "DATASET_MOVES", "JOB_ENDS", "ONE_SHOT", "UNATTENDED",
    "Galaxy", "Refused", "an_id", "arguments", "at_end", "complain", "decoded", "id_in", "ids", "keep_secret",
    "none_empty", "one_line", "output", "pauses", "payload", "print_answer", "print_members", "print_response", "read_json",
    "read_text", "redact", "run", "say", "script_name", "separated", "show", "show_request", "whole_number", "with_scheme",
    "yes_or_no", "delete", "display", "get", "make_url", "post", "put", "submit", "update",
]

# --------------------------------------------------------------------------------------------- what the user typed

def arguments(usage: str, argv: list[str] | None = None) -> dict[str, Any]:
    """What docopt reads from the command line by the docstring `usage`; a bad line prints the usage and exits 2.

    docopt's own message repeats the arguments, and one of them is the key.
    """
    from docopt import DocoptExit, docopt
    argv = sys.argv[1:] if argv is None else argv
    if any("\ud800" <= letter <= "\udfff" for text in argv for letter in text):
        raise Refused("an argument is not UTF-8", USAGE)
    # What stands behind -- may begin with a hyphen; docopt would want -- in every usage line.
    literal = dict(enumerate(argv[argv.index("--") + 1:])) if "--" in argv else {}
    if "--" in argv:
        argv = argv[:argv.index("--")] + [f"\0{number}" for number in literal]
    try:
        args = docopt(usage, argv)
        return {name: _restored(value, literal) for name, value in args.items()}
    except DocoptExit:
        found = re.search(r"^usage:.*?(?=\n\s*\n|\Z)", usage, re.IGNORECASE | re.DOTALL | re.MULTILINE)
        say(found.group().rstrip() if found else usage)
        say(f"{script_name()} --help says more")
        raise SystemExit(USAGE) from None


def _restored(value: Any, literal: dict[int, str]) -> Any:
    if isinstance(value, list):
        return [_restored(one, literal) for one in value]
    return literal[int(value[1:])] if isinstance(value, str) and value.startswith("\0") else value


def whole_number(args: dict[str, Any], option: str, least: int = 0) -> int | None:
    """The value of `option` as an integer, None where it was not given; anything else is a usage error."""
    text = args[option]
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
        raise Refused(f"{option}={text}: a whole number of at least {least} is wanted", USAGE)
    return int(text)


def none_empty(args: dict[str, Any], *options: str) -> None:
    """Refuse, as a usage error, the first of these options that was given without a value."""
    for option in options:
        if args[option] == "":
            raise Refused(f"{option} is empty: is a variable unset?", USAGE)


def separated(text: str | None) -> list[str]:
    """What is between the commas of an option's value; [] where it was not given."""
    return [part for part in (text or "").split(",") if part]


def an_id(text: str, name: str) -> str:
    """`text` where it can be the id of something; a usage error naming the argument `name` where it can't."""
    if not re.fullmatch(r"[\w-]+", text):
        raise Refused(f"{name}: {short(text, 40)!r} is no id{'' if text else ': is a variable unset?'}", USAGE)
    return text


def ids(texts: list[str], name: str) -> list[str]:
    """The ids among `texts`, what was given for the argument `name`, each once; `-` stands for those in standard input,
    one a line. It is read to its end first: what is done to these things may change the list that they come from."""
    found: dict[str, None] = {}
    for text in texts:
        if text != "-":
            found[an_id(text, name)] = None
            continue
        for number, line in enumerate(read_text("-").splitlines(), 1):
            if line.strip():
                found[an_id(line.strip(), f"{name}, line {number} of standard input")] = None
    return list(found)


def id_in(url: str, noun: str) -> str:
    """The id at the end of `url`, the address of one of the API's `noun`, such as histories; a usage error where it is
    not one's, so that nothing is done to another thing than its user means."""
    found = re.fullmatch(rf".*/api/{noun}/([\w-]+)/?", url.partition("?")[0])
    if not found:
        raise Refused(f"{url}: not the address of one of the {noun}: it ends in /api/{noun}/ID", USAGE)
    return found.group(1)


def yes_or_no(text: str | None, name: str) -> bool:
    """Whether `text`, the argument `name`, says yes, in the words that Galaxy takes; no where it was not given."""
    word = "no" if text is None else text.strip().lower()
    if word in ("true", "yes", "on", "1", "t", "y"):
        return True
    if word in ("false", "no", "off", "0", "f", "n"):
        return False
    raise Refused(f"{name}: {short(str(text), 40)!r} is neither true nor false", USAGE)


def payload(pairs: list[str]) -> Any:
    """What the pairs of a command line ask to send.

    `NAME=VALUE` is a string, `NAME:=JSON` JSON, `NAME:=@FILE` a file's JSON, `NAME@=FILE` a file's text, and `@FILE`
    alone is the whole payload; FILE `-` is standard input. Messages show no values: one may be a password.
    """
    if len(pairs) == 1 and pairs[0].startswith("@"):
        return read_json(pairs[0][1:])
    data: dict[str, Any] = {}
    for number, pair in enumerate(pairs, 1):
        name, sign, value = pair.partition("=")
        kind = name[-1:] if name.endswith((":", "@")) else ""
        name = name.removesuffix(kind)
        if not sign or not name:
            alone = " (@FILE is the whole payload, so it must stand alone)" if pair.startswith("@") else ""
            raise Refused(f"NAME=VALUE, the {number}. one: there is no = in it, or nothing before it{alone}", USAGE)
        if kind == ":":
            data[name] = read_json(value[1:]) if value.startswith("@") else _json(value, f"{name}:=")
        else:
            data[name] = read_text(value) if kind else value
    return data


def read_json(name: str) -> Any:
    """The JSON in the file `name`, in standard input for `-`; a usage error where there is none."""
    return _json(read_text(name), "standard input" if name == "-" else name)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refused(f"{where}: not JSON: {error} (a string has quotes in JSON: 'name:=\"value\"')", USAGE) from None
    except RecursionError:
        raise Refused(f"{where}: nested too deeply", USAGE) from None


# ------------------------------------------------------------------------------------------------------------- asking

ONE_SHOT, UNATTENDED = 10, 600                  # seconds of patience with a server that is away; $GALAXY_RETRY_MAX

# How many a page, and in which order nothing is missed while things are added. Galaxy 26.1's /api/invocations
# takes 100 at most; its /api/jobs and /api/datasets hand out 500 unless told.
PAGES: dict[str, dict[str, Any]] = {
    "histories": {"limit": 500, "order": "create_time-asc"},
    "datasets": {"limit": 500, "order": "create_time-asc"},
    "contents": {"limit": 500, "order": "hid-asc"},
    "invocations": {"limit": 100, "sort_by": "create_time", "sort_desc": "false"},
    "jobs": {"limit": 500},
}

_session: requests.Session | None = None


class _Session(requests.Session):
    """One that leaves redirects to `Galaxy.request`; requests prepares the next request even when told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _pool() -> requests.Session:
    """The process's one session."""
    global _session
    if _session is None:
        _session = _Session()
        agent = f"galaxy-api-scripts/{VERSION} ({script_name()})"
        _session.headers["User-Agent"] = agent.encode("ascii", "replace").decode()
        # A cookie knows no ports: one of Galaxy's would go along with a download from another server on its host.
        _session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if os.environ.get("GALAXY_INSECURE") == "1":
            import urllib3
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            say("warning: GALAXY_INSECURE=1: the server's certificate is not checked")
    return _session


def _seconds(variable: str, otherwise: float) -> float:
    text = os.environ.get(variable, "").strip()
    try:
        seconds = float(text) if text else otherwise
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 10**8:
        raise Refused(f"{variable}={text}: a number of seconds is wanted", USAGE)
    return seconds


class Galaxy:
    """One server, asked with one key.

    `url` is the address as the user gave it, made whole; `base` the server's own. `patience` is how many seconds a
    server that is away may stay so (`ONE_SHOT`, `UNATTENDED`). Paths are those under `/api/` (`histories/ID`), or whole
    addresses of the same server. All methods raise `Refused`.
    """

    def __init__(self, key: str, url: str, patience: float = ONE_SHOT):
        url, key_in_url = without_key(url)
        self.key, self.url = credentials(key_in_url or key, url)
        self.base = server(self.url)
        self.patience = _seconds("GALAXY_RETRY_MAX", patience)
        self.deadline = float("inf")

    def get(self, path: str, params: Any = None, **options: Any) -> Any:
        """The JSON answer to GET; an empty body is refused."""
        return self._decoded(self.request("GET", path, params=params, **options))

    def post(self, path: str, data: Any = None) -> Any:
        """The JSON answer to POST of `data` as JSON; None for an empty body."""
        return self._decoded(self.request("POST", path, json=data))

    def put(self, path: str, data: Any = None) -> Any:
        """The JSON answer to PUT of `data` as JSON; None for an empty body."""
        return self._decoded(self.request("PUT", path, json=data))

    def delete(self, path: str, data: Any = None) -> Any:
        """The JSON answer to DELETE, with `data` as its JSON body; None for an empty body."""
        return self._decoded(self.request("DELETE", path, json=data))

    def pages(self, path: str, params: dict[str, Any] | None = None, limit: int | None = None) -> Iterator[Any]:
        """The members of a list to its very end, or the first `limit` of them, asked for page by page.

        Members that moved to a later page meanwhile are not given twice. Whether a route knows `limit` and `offset`
        can't be seen from outside, so a page that brings nothing new ends the list too.
        """
        parts = urlsplit(self.address(path))
        route = parts.path.rstrip("/").rsplit("/", 1)[-1]
        ask = {**PAGES.get(route, {"limit": 500}), **parse_qs(parts.query, keep_blank_values=True), **(params or {})}
        size, offset = _first_number(ask["limit"]), _first_number(ask.get("offset", 0))
        if limit:
            ask["limit"] = size = min(size, limit)
        met: set[str] = set()
        before: list[str] = []
        given = 0
        while limit is None or given < limit:
            answer = self.get(parts._replace(query="").geturl(), {**ask, "offset": offset} if offset else ask)
            if not isinstance(answer, list):
                raise Refused(f"{parts.geturl()}: the answer is no list, so it has no pages", USAGE)
            marks = [_mark(member, route) for member in answer]
            fresh = [member for member, mark in zip(answer, marks) if mark not in met or not mark.startswith("id ")]
            if not fresh or (marks == before and route not in PAGES):       # it knows no offset
                return
            before = marks
            met.update(marks)
            yield from fresh[:None if limit is None else limit - given]
            given += len(fresh)
            offset += len(answer)
            if len(answer) > size or (route in PAGES and len(answer) < size):
                return

    def find(self, path: str, name: str) -> dict[str, Any]:
        """The one thing called exactly `name` in the list at `path`; none or several are refused, with their ids."""
        narrow = {"q": "name-eq", "qv": name} if path in ("histories", "datasets") else {}
        same = [thing for thing in self.pages(path, narrow) if thing.get("name") == name and not thing.get("deleted")]
        if len(same) == 1:
            return same[0]
        if same:
            raise Refused(f"{len(same)} {path} are named {name!r}: {', '.join(str(thing['id']) for thing in same)}; "
                          "rename all but one")
        nobody = " (asked without a key)" if self.key is None else ""
        raise Refused(f"none of your {path} on {self.base} is named {name!r}{nobody}")

    def named(self, path: str, text: str) -> dict[str, Any]:
        """The one thing in the list at `path` whose id, or else exact name, is `text`; none or several are refused."""
        if re.fullmatch(r"([0-9a-f]{16})+", text):
            try:
                return dict(self.get(f"{path}/{text}"))
            except Refused as error:
                if error.status not in (400, 404):
                    raise
        return self.find(path, text)

    def user(self) -> dict[str, Any]:
        """The user whose key this is. Without one Galaxy answers many questions with an empty list, so ask this first
        where an empty list would be believed (`GET /api/users/current`)."""
        user = self.get("users/current")
        if not isinstance(user, dict) or not user.get("id"):
            raise Refused(f"{self.base} takes the key for nobody's: check it", status=401)
        return user

    def administrator(self, task: str, otherwise: str = "") -> dict[str, Any]:
        """The user whose key this is, refused where that is no administrator, whom `task` needs, with what to do
        `otherwise`."""
        user = self.user()
        if not user.get("is_admin"):
            raise Refused(f"{task} needs an administrator's key, and {user.get('email')} is none on {self.base}: ask its "
                          f"administrators, whom admin_users names (galaxy.yml){otherwise}", status=403)
        return user

    def address(self, path: str) -> str:
        """The whole address of `path` on this server."""
        if re.match(r"https?://", path):
            return address(path)
        return join(self.base, path) if path.startswith("/") else f"{self.base}/api/{path}"

    def request(self, method: str, path: str, *, anywhere: bool = False, auth: tuple[str, str] | None = None,
                patience: float | None = None, **options: Any) -> requests.Response:
        """Galaxy's answer of status 2xx; anything else is `Refused`. `options` are those of requests.

        Passing trouble is waited out within `patience` seconds (this server's own unless given), without sending twice
        what must not be. `anywhere` lets a GET follow a redirect to another server (object stores do that for
        downloads), where the key does not go with it.
        """
        url = self.address(path)
        headers = dict(options.pop("headers", None) or {})
        for _ in range(10):
            own = origin(url) == origin(self.base)
            if self.key and own:
                headers["x-api-key"] = self.key
            password = (auth or _userinfo(self.base)) if own else _userinfo(url)
            response = self._send(method, url, self.patience if patience is None else patience, headers=headers,
                                  auth=password, **options)
            if 200 <= response.status_code < 300:
                return response
            if response.status_code not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                raise replies.refusal(f"{method} {url}", response, self.base)
            target = _target(url, response.headers["Location"])
            if not is_address(target):
                raise Refused(f"{method} {url}: the server redirects to what is no address")
            if method not in ("GET", "HEAD"):
                raise Refused(f"{method} {url}: the server redirects to {target}, and a {method} is not sent on: use "
                              "that address if your Galaxy is there", status=response.status_code)
            if origin(target) != origin(url) and not anywhere:
                raise Refused(f"{method} {url}: the server redirects to {target}, where your key does not go unasked: "
                              "use that address if your Galaxy is there", status=response.status_code)
            headers.pop("x-api-key", None)
            options.pop("params", None)
            url = target
        raise Refused(f"{method} {url}: the server redirects in a loop")

    def _send(self, method: str, url: str, window: float, **options: Any) -> requests.Response:
        """The server's answer, after as many tries as this method may have and a `window` of seconds allows."""
        read = _seconds("GALAXY_TIMEOUT", 300 if method == "POST" else 60) or None
        left = self.deadline - time.monotonic()
        if left < float("inf"):
            read = min(read or left, max(left, 1))
        options.setdefault("timeout", (10, read))
        # What ~/.netrc has for a host would go to each of its ports; a password in the URL is for this server.
        options["auth"] = options.get("auth") or _as_it_is
        if os.environ.get("GALAXY_INSECURE") == "1":
            options["verify"] = False       # on the request: the session's own gives way to $REQUESTS_CA_BUNDLE
        patience, failures = replies.Patience(min(window, left)), 0
        while True:
            response, error = None, None
            try:
                response = _pool().request(method, url, allow_redirects=False, **options)
                failures += response.status_code == 500
                again = replies.worth_retrying(method, response, failures)
                if not again:
                    return response
            except requests.RequestException as caught:
                error = caught
                again = replies.unsent(error) or (method in replies.REPEATABLE and replies.broken_off(error))
            pause = patience.next(replies.retry_after(response)) if again else None
            if pause is None and response is not None:
                raise replies.refusal(f"{method} {url}", response, self.base,
                              TRY_LATER if response.status_code in replies.PASSING else REFUSED)
            if pause is None:
                raise replies.unanswered(f"{method} {url}", method, error) from error
            if sys.stderr.isatty():
                what = f"{response.status_code} {response.reason}" if response is not None else replies.what_happened(error)
                say(f"{self.base}: {what}; trying again in {pause:.0f} s")
            if response is not None:
                response.close()
            time.sleep(pause)

    def _decoded(self, response: requests.Response) -> Any:
        """The answer's JSON; None for an empty body, but to a GET."""
        method, status = str(response.request.method), response.status_code
        asked = f"{method} {response.url}: {status}"
        if not response.content.strip():
            if method == "GET":
                raise Refused(f"{asked} with an empty body in place of JSON: is this an address of the API, or does a "
                              "proxy answer for Galaxy?", status=status, body="")
            return None
        try:
            return response.json()
        except (ValueError, RecursionError):
            text = replies.body_text(response)
            kind = f"a page titled {replies.page_title(text)!r}" if replies.page_title(text) else repr(short(text, 60))
            hint = f"addresses of the API go on with /api/, as in {self.base}/api/histories"
            if "/api/" in response.url:
                login = ", and a page to log in is a proxy's" if replies.page_title(text) else ""
                hint = f"for data take dataset_download.py{login}"
            raise Refused(f"{asked}, not JSON but {kind}: {hint}", status=status, body=text) from None

    # ------------------------------------------------------------------------------------------------------- waiting

    def wait_datasets(self, history: str, datasets: Iterable[str], timeout: float | None = None,
                      told: Callable[[int], Any] | None = None) -> dict[str, str]:
        """`{id: state}` once all these datasets of one history have ended, good or bad (not in `DATASET_MOVES`).

        However many they are, each look is one small request: what in the history has not ended yet. `told` is called
        with how many those are.
        """
        return self._ended("dataset", history, list(datasets), timeout, f"histories/{history}/contents",
                           {"v": "dev", "keys": "id,state"}, {"q": "state-in", "qv": ",".join(DATASET_MOVES)}, told)

    def wait_jobs(self, history: str, jobs: Iterable[str], timeout: float | None = None) -> dict[str, str]:
        """`{id: state}` once all these jobs of one history have ended (see `JOB_ENDS`), or none can move by itself."""
        return self._ended("job", history, list(jobs), timeout, "jobs",
                           {"history_id": history}, {"state": list(JOB_MOVES)})

    def looks(self, timeout: float | None) -> Iterator[int]:
        """`pauses(timeout)`, and no server that is away is waited for any longer either."""
        self.deadline = float("inf") if timeout is None else time.monotonic() + timeout
        try:
            yield from pauses(timeout)
        finally:
            self.deadline = float("inf")

    def _ended(self, kind: str, history: str, wanted: list[str], timeout: float | None, path: str, every: dict[str, Any],
               moving: dict[str, Any], told: Callable[[int], Any] | None = None) -> dict[str, str]:
        """The states of `wanted` once none of them is in the list that `path` gives for `every` and `moving`."""
        moves, states = (DATASET_MOVES if kind == "dataset" else JOB_MOVES), {}
        for _ in self.looks(timeout):
            left = {thing["id"] for thing in self.pages(path, {**every, **moving})}.intersection(wanted)
            if not left:        # but for what is setting_metadata, which that filter does not see (26.1)
                states = {thing["id"]: str(thing.get("state")) for thing in self.pages(path, every)
                          if thing.get("history_content_type", "dataset") == "dataset"}     # not a collection of that id
                left = {one for one in wanted if states.get(one) in moves}
            if told:
                told(len(left))
            if not left:
                break
        else:
            raise Refused(f"{len(left)} of {len(set(wanted))} still running after {timeout:g} s: "
                          f"{', '.join(sorted(left)[:3])}{', ...' if len(left) > 3 else ''}", STILL_RUNNING)
        missing = [one for one in wanted if one not in states]
        if missing:
            raise Refused(f"history {history} has no {kind} {', '.join(missing)}")
        return {one: states[one] for one in wanted}


# From Galaxy 26.1's schema (DatasetState, JobState). `paused` jobs and datasets wait for a person, so they don't move.
DATASET_MOVES = ("new", "upload", "queued", "running", "setting_metadata")
# `deleting` may last for ever (26.1, jobs of a cancelled invocation), and never ends well.
JOB_MOVES = ("new", "resubmitted", "upload", "waiting", "queued", "running", "stop")
JOB_ENDS = ("ok", "skipped", "error", "failed", "deleting", "deleted", "stopped", "paused")


def pauses(timeout: float | None = None, first: float = 0.25, longest: float = 30.0) -> Iterator[int]:
    """Count the looks at something, the first at once, then with pauses from `first` to `longest` seconds between them;
    ends with a last look when `timeout` seconds have gone by."""
    end = None if timeout is None else time.monotonic() + timeout
    pause = first
    for look in itertools.count():
        yield look
        left = pause if end is None else end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.25, longest)


def _target(url: str, location: str) -> str:
    """Where a redirect leads; "" where that can't be said."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def _userinfo(url: str) -> tuple[str, str] | None:
    parts = urlsplit(url)
    return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The authentication that adds nothing."""
    return request


def _mark(member: Any, route: str) -> str:
    """What tells a list's member from the others: its id, or all of it (JSON) where that is not enough."""
    kind = member.get("history_content_type") if isinstance(member, dict) else None
    if isinstance(member, dict) and "id" in member and (kind or route not in ("contents", "datasets")):
        return f"id {kind} {member['id']}"
    return json.dumps(member, sort_keys=True)       # datasets and collections have their ids apart, so some are the same


def _first_number(value: Any) -> int:
    text = str(value[0] if isinstance(value, list) else value)
    if not text.isdecimal():
        raise Refused(f"limit and offset are whole numbers, not {text!r}", USAGE)
    return int(text)


# ------------------------------------------------------------ the names that recipes for the old common.py import

def make_url(api_key: str, url: str, args: Iterable[tuple[str, Any]] | None = None) -> str:
    """`url` with `key=` and then `args`, `(name, value)` pairs, added; a `key=` that it has already stays as it is.

    For recipes that print or share such an address. Our own requests send the key in a header, out of servers' logs.
    """
    pairs = list(args or [])
    if not re.search(r"[?&]key=", url):
        pairs.insert(0, ("key", api_key))
    keep_secret(api_key)
    return url + (("&" if "?" in url else "?") + urlencode(pairs) if pairs else "")


def _for_a_recipe(api_key: str, url: str) -> Galaxy:
    """The server for one request of a recipe; what that does not catch ends it with one line, as it always has."""
    sys.excepthook = _in_one_line
    return Galaxy(api_key, url)


def _in_one_line(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if isinstance(error, Refused) and not os.environ.get("GALAXY_DEBUG"):
        complain(str(error))
    else:
        sys.__excepthook__(kind, error, trace)


def get(api_key: str, url: str) -> Any:
    """The JSON answer to GET."""
    galaxy = _for_a_recipe(api_key, url)
    return galaxy.get(galaxy.url)


def post(api_key: str, url: str, data: Any) -> Any:
    """The JSON answer to POST of `data`; None for an empty body."""
    galaxy = _for_a_recipe(api_key, url)
    return galaxy.post(galaxy.url, data)


def put(api_key: str, url: str, data: Any) -> Any:
    """The JSON answer to PUT of `data`; None for an empty body."""
    galaxy = _for_a_recipe(api_key, url)
    return galaxy.put(galaxy.url, data)


def _delete(api_key: str, url: str, data: Any) -> Any:
    galaxy = _for_a_recipe(api_key, url)
    return galaxy.delete(galaxy.url, data)


def display(api_key: str, url: str, return_formatted: bool = True) -> Any:
    """GET; prints the answer, or returns it where `return_formatted` is false."""
    return _legacy(return_formatted, print_members, get, api_key, url)


def submit(api_key: str, url: str, data: Any, return_formatted: bool = True) -> Any:
    """POST of `data`; prints the answer, or returns it where `return_formatted` is false."""
    return _legacy(return_formatted, print_response, post, api_key, url, data)


def update(api_key: str, url: str, data: Any, return_formatted: bool = True) -> Any:
    """PUT of `data`; prints the answer, or returns it where `return_formatted` is false."""
    return _legacy(return_formatted, print_answer, put, api_key, url, data)


def delete(api_key: str, url: str, data: Any, return_formatted: bool = True) -> Any:
    """DELETE with `data` as its body; prints the answer, or returns it where `return_formatted` is false."""
    return _legacy(return_formatted, print_answer, _delete, api_key, url, data)


def _legacy(formatted: bool, printer: Any, ask: Any, *what: Any) -> Any:
    """Ask, then print or return; where it prints, it also says what went wrong and exits, as it always has."""
    if not formatted:
        return ask(*what)
    try:
        answer = ask(*what)
    except Refused as error:
        raise SystemExit(complain(str(error), error.exit_code)) from None
    printer(answer)
    return None
