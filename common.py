"""Ask a Galaxy server (https://galaxyproject.org), in one file that stands alone: copy it with your script.

    display(key, url)          GET, and print what is there
    submit(key, url, data)     POST, and print what was made
    update(key, url, data)     PUT, and print what was changed
    delete(key, url, data)     DELETE, and print what Galaxy says

What needs more than one request starts from `Galaxy`:

    galaxy = Galaxy("-", "https://usegalaxy.org")       # - looks the key up
    for history in galaxy.pages("histories"):
        print(history["id"], history["name"])

Everything that goes wrong raises `GalaxyError`; `run(main)` turns it into one line and an exit status.
"""
from __future__ import annotations

try:
    import contextlib
    import functools
    import io
    import itertools
    import json
    import logging
    import os
    import random
    import re
    import shutil
    import signal
    import socket
    import sys
    import textwrap
    import threading
    import time
    import traceback
    from base64 import b64encode
    from collections.abc import Callable, Collection, Iterable, Iterator
    from email.utils import parsedate_to_datetime
    from http.client import HTTPResponse
    from http.cookiejar import DefaultCookiePolicy
    from pathlib import Path
    from typing import Any
    from unicodedata import combining, east_asian_width
    from urllib.error import HTTPError, URLError
    from urllib.parse import parse_qs, quote, unquote, urlencode, urljoin, urlsplit  # noqa: F401  old recipes use urlencode
    from urllib.request import Request, getproxies, urlopen  # noqa: F401  old recipes with `from common import *` use these and `log`

    import requests
except ModuleNotFoundError:
    sys.exit("the package requests is not installed: pip install requests docopt-ng tabulate")
except KeyboardInterrupt:       # these imports are most of a script's start
    raise SystemExit(130) from None

VERSION = "0.1.0"
log = logging.getLogger(__name__)


# ------------------------------------------------------------------------------------------------- the four helpers

def display(api_key: str, url: str, return_formatted: bool = True, *, route: str = "", all_pages: bool = False,
            limit: int | None = None, format: str | None = None, fields: Iterable[str] = ()) -> Any:
    """GET `url` and print the answer; with `return_formatted=False` return its JSON. Raises `GalaxyError`. `all_pages` asks
    for every page of a list, `limit` for its first members. `format` and `fields` are those of `show`; without them the old
    display.py's text is printed. For `route` see `url_on_route`."""
    with _recipe_errors():
        galaxy = Galaxy(api_key, url)
        address = url_on_route(galaxy, route)
        answer = galaxy.pages(address, limit=limit) if all_pages or limit else galaxy.get(address)
        if not return_formatted:
            return list(answer) if isinstance(answer, Iterator) else answer
        return show(answer, format, fields, plain=print_members)


def submit(api_key: str, url: str, data: Any, return_formatted: bool = True, **options: Any) -> Any:
    """POST `data` as JSON to `url` and print the answer; with `return_formatted=False` return its JSON. `dry_run=True`
    prints the request and sends nothing; `route`, `format` and `fields` are those of `display`."""
    return _change("POST", api_key, url, data, return_formatted, print_response, **options)


def update(api_key: str, url: str, data: Any, return_formatted: bool = True, **options: Any) -> Any:
    """PUT `data` as JSON to `url`, or PATCH it with `method="PATCH"`, and print the answer; otherwise as `submit`."""
    return _change(options.pop("method", "PUT"), api_key, url, data, return_formatted, print_answer, **options)


def delete(api_key: str, url: str, data: Any, return_formatted: bool = True, **options: Any) -> Any:
    """DELETE `url`, with `data` as the JSON body if there is any, and print the answer; otherwise as `submit`."""
    return _change("DELETE", api_key, url, data or None, return_formatted, print_answer, **options)


def get(api_key: str, url: str) -> Any:
    """Return the JSON answer to GET."""
    return display(api_key, url, return_formatted=False)


def post(api_key: str, url: str, data: Any) -> Any:
    """Return the JSON answer to POST of `data`, None for an empty body."""
    return submit(api_key, url, data, return_formatted=False)


def put(api_key: str, url: str, data: Any) -> Any:
    """Return the JSON answer to PUT of `data`, None for an empty body."""
    return update(api_key, url, data, return_formatted=False)


def make_url(api_key: str, url: str, args: Iterable[tuple[str, Any]] | None = None) -> str:
    """Return `url` with `key=` (unless it has one), then `args`, quoted pairs `(name, value)`, for recipes that print it."""
    pairs = [*([] if re.search("[?&]key=", url) else [("key", api_key)]), *(args or [])]
    register_secret(api_key)
    return url + (("&" if "?" in url else "?") + "&".join(f"{name}={value}" for name, value in pairs) if pairs else "")


def _change(method: str, api_key: str, url: str, data: Any, return_formatted: bool, plain: Callable[[Any], None], *,
            route: str = "", dry_run: bool = False, format: str | None = None, fields: Iterable[str] = ()) -> Any:
    with _recipe_errors():
        galaxy = Galaxy(api_key, url)
        address = url_on_route(galaxy, route)
        if dry_run:
            return print_request(method, address, data, format)
        answer = galaxy.call(method, address, data)
        if (method == "POST" and MAKING_ROUTES.match(address)) or (route and (route, answer) != ("workflows/ID", None)):
            require_made(answer, needs_id=True)
        Answer.latest.change = address, answer
        return show(answer, format, fields, plain=plain, changed=True) if return_formatted else answer


@contextlib.contextmanager
def guard_request(args: dict[str, Any], load_extras: Callable[[], Any], *request: Any) -> Iterator[None]:
    """Around a verb's request (method, payload, files): `--check` it, explain a refusal, look closer at a DOUBTFUL answer,
    `--wait`. `load_extras()` returns the module that knows how, as `display.py` does; it is called in these cases alone."""
    takes_more = os.environ.get("GALAXY_CHECK") == "1" or any(map(args.get, ("--check", "--wait", "--timeout", "--to")))
    on_answer, Answer.latest.change = load_extras().prepare(args, *request) if takes_more else None, ()
    try:
        yield
        if (change := Answer.latest.change) and (on_answer or re.search(DOUBTFUL, " ".join(map(str, [*request, *change])))):
            has_failed = re.search(r"^False$|'errors': \[[^]]", str(change[-1]))     # certainly, also without the package
            with contextlib.suppress(*[] if on_answer or has_failed else [ImportError]):
                (on_answer or load_extras().prepare(args, *request))(*change)
    except GalaxyError as error:
        with contextlib.suppress(ImportError):
            load_extras().explain_refusal(error, args["KEY"], args["URL"], *request)
        raise


def url_on_route(galaxy: Galaxy, route: str) -> str:
    """Return the address to ask, on `route` (as `histories/ID`), whose end a URL may lack; raise an error for others."""
    if not route:
        return galaxy.url
    parts, root = urlsplit(galaxy.url), urlsplit(galaxy.base).path
    typed = path = parts.path.removeprefix(root).rstrip("/")
    if path in ("", "/api") and "ID" not in route:
        path = f"/api/{route}"
    elif route.endswith("/contents") and not path.endswith("/contents"):
        path += "/contents"
    if not re.fullmatch("/api/" + route.replace("ID", r"[\w-]+"), path):
        raise GalaxyError(f"URL is {galaxy.base}{typed or '/'}, and this script needs {galaxy.base}/api/{route}", USAGE)
    return parts._replace(path=root + path).geturl()


# -------------------------------------------------------------------------------------------------------- KEY and URL

def resolve_credentials(key: str, url: str) -> tuple[str | None, str]:
    """Return the key (None for none) and the address, from KEY and URL. KEY: the key; `-`: $GALAXY_API_KEY, the file
    $GALAXY_API_KEY_FILE, or the entry of ~/.parsec.yml whose url fits; `@NAME`: that entry; `anonymous`. URL: an address;
    `-`: $GALAXY_URL, or the entry's url; `/path`: joined to that. Raises a usage error, also for a key of another server."""
    key, url = key.strip(), url.strip()
    if not key:
        raise GalaxyError("the key is empty: is a variable unset? (to ask as nobody, give `anonymous`)", USAGE)
    if re.match("https?://", key):
        raise GalaxyError("KEY and URL are the wrong way round", USAGE)
    home, is_looked_up = os.environ.get("GALAXY_URL", "").strip(), url == "-" or url.startswith("/")
    found_key = os.environ.get("GALAXY_API_KEY", "").strip() if key == "-" else ""
    file = os.environ.get("GALAXY_API_KEY_FILE", "").strip() if key == "-" and not found_key else ""
    if file:
        [found_key, *_] = read_text(os.path.expanduser(file), is_private=True).split() or [""]
        if not found_key:
            raise GalaxyError(f"{file} ($GALAXY_API_KEY_FILE) is empty: put your key on its first line", USAGE)
    if key.startswith("@") or (key == "-" and not found_key):
        home, found_key = _parsec_entry(key[1:] if key.startswith("@") else None, home if is_looked_up else url)
    if is_looked_up:
        if not home:
            raise GalaxyError("no address to look up: set GALAXY_URL to the server's address, or give it", USAGE)
        url = join_url(home, url)
    url = normalize_url(url)
    register_password(url)
    if found_key and home and not _is_below(url, home):
        raise GalaxyError(f"the key that was looked up belongs to {server_url(home)}: give {server_url(url)} its own", USAGE)
    if key == "anonymous":
        return None, url
    register_secret(found_key or key)
    if not re.fullmatch(r"[!-~]+", found_key or key):
        raise GalaxyError("the key has characters that no key has: spaces, or others than ASCII", USAGE)
    return found_key or key, url


def _parsec_entry(name: str | None, url: str) -> tuple[str, str]:
    """Return url and key of ~/.parsec.yml's entry `name`, for None of the one that fits `url`, or else the default one."""
    path = Path.home() / ".parsec.yml"
    if not path.exists():
        raise GalaxyError("no ~/.parsec.yml to look a key up in, nor is GALAXY_API_KEY or GALAXY_API_KEY_FILE set", USAGE)
    import yaml
    try:
        content = yaml.safe_load(read_text(str(path), is_private=True))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise GalaxyError(f"{path}: not YAML{f', line {mark.line + 1}' if mark else ''}", USAGE) from None
    if not isinstance(content, dict):
        raise GalaxyError(f"{path}: no entries in it: expected `NAME: {{url: ..., key: ...}}`", USAGE)
    entries = {str(entry): (about["url"].strip(), str(about["key"])) for entry, about in content.items()
               if isinstance(about, dict) and isinstance(about.get("url"), str) and about["url"] and about.get("key")}
    for _, key in entries.values():
        register_secret(key)
    fitting = [entry for entry, (home, _) in entries.items()    # a mistyped url of another entry is no reason to fail
               if (entry == name if name is not None else not url or (is_http_url(home) and _is_below(url, home)))]
    default = str(content.get("__default", ""))
    if len(fitting) == 1 or default in fitting:
        return entries[default if default in fitting else fitting[0]]
    problem, names = "several entries and no __default", f"it has {', '.join(entries) or 'none'}"
    if name is not None:
        raise GalaxyError(f"~/.parsec.yml has no entry {name!r} with a url and a key: {names}", USAGE)
    if url or not fitting:
        problem = f"{'several entries' if fitting else 'no entry'} for {url or 'any server'}"
    raise GalaxyError(f"~/.parsec.yml has {problem}: set GALAXY_API_KEY, or give @NAME ({names})", USAGE)


def normalize_url(url: str) -> str:
    """Return `url` with single slashes in its path; raise a usage error where it is not an http address."""
    url = url.strip()
    if not is_http_url(url):
        shown = f"{url!r} (did you mean http://{url}?)" if "://" not in url else repr(url)
        if re.fullmatch("[a-z_]{1,20}", url):
            shown = f"{url!r} (did you mean /api/{url}?)"
        elif not re.search("[.:/]", url) or re.search(r"[\s\\@]", url):        # a key, or an address with a password
            shown = "URL"
        raise GalaxyError(f"{shown} is not the address of a server", USAGE)
    parts = urlsplit(url)
    return parts._replace(path=re.sub("/{2,}", "/", parts.path), fragment="").geturl()


def is_http_url(url: str) -> bool:
    """Whether `url` is an http or https address that every program reads in the same way."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")       # no label empty or too long
        # Stricter than urlsplit, which reads http://a\@b as an address on b where the connection would be made to a.
        authority = r"(?i)https?://([^\s/?#\\@]*@)?(\[[0-9a-f:.]+\]|[^\s/?#\\@:\[\]]+)(:\d+)?(?=[/?#]|$)"
        return bool(re.match(authority, url) and parts.hostname and (parts.port is None or parts.port > 0)
                    and ".." not in unquote(parts.path).split("/"))
    return False


def server_url(url: str) -> str:
    """Return the server's own address: the part of `url` before `/api`, without a slash at its end."""
    parts = urlsplit(normalize_url(url))
    path = re.split(r"/api(?=/|$)", parts.path, maxsplit=1)[0].rstrip("/")
    return parts._replace(path=path, query="").geturl()


def join_url(base: str, path: str) -> str:
    """Return the address of `path` (`/api/...`, with Galaxy's prefix or without, `-` for none) on the server of `base`."""
    base, prefix = server_url(base), urlsplit(server_url(base)).path
    return base + (path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path.removeprefix("-"))


def origin(url: str) -> tuple[str, str | None, int]:
    """Return scheme, host and port of `url`."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _is_below(url: str, home: str) -> bool:
    """Whether `url` is an address of the server of `home`: same scheme, host and port, and under its path."""
    base, url = server_url(home), normalize_url(url)
    return origin(url) == origin(base) and f"{urlsplit(url).path}/".startswith(f"{urlsplit(base).path}/")


def _split_key(url: str) -> tuple[str, str]:
    """Return `url` without the `key=` parameters that somebody typed into it, and the first of these keys."""
    keys = re.findall("[?&]key=([^&]*)", url)
    return (re.sub("(?<=[?&])key=[^&]*(&|$)", "", url).rstrip("?&"), unquote(keys[0])) if keys else (url, "")


def read_text(name: str, is_private: bool = False, content: bytes | None = None) -> str:
    """Return the text of the file `name`, of standard input for `-`, or in its `content`; raise a usage error where it can't
    be read, is neither UTF-8 nor UTF-16 with a BOM, or `is_private`, so holds a key, and others may read it."""
    if name == "-" and sys.stdin is None:
        raise GalaxyError("standard input is closed", USAGE)
    try:
        if content is None:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        if is_private and os.name == "posix" and os.stat(name).st_mode & 0o044:
            raise GalaxyError(f"{name} holds a key and others may read it: chmod 600 {name}", USAGE)
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise GalaxyError(f"{'standard input' if name == '-' else name}: {problem}", USAGE) from None


# --------------------------------------------------------------------------------------------------- the command line

def arguments(usage: str, argv: list[str] | None = None, legacy: bool = False) -> dict[str, Any]:
    """Return what docopt reads from the command line by the docstring `usage`. A bad line exits 2. `legacy` keeps the lines
    of scripts from before docopt valid: a word with one hyphen that is not exactly an option is an argument; the last of a
    repeated option counts; `-a=KEY` is `-a KEY`; arguments beyond those of the usage line are ignored."""
    argv = sys.argv[1:] if argv is None else argv
    if any("\ud800" <= letter <= "\udfff" for text in argv for letter in text):
        raise GalaxyError("an argument is not UTF-8", USAGE)
    if argv in (["-h"], ["--help"], ["--version"]):
        print(f"{script_name()} {VERSION}" if argv == ["--version"] else "\n".join(map(_wrap, usage.strip().splitlines())),
              flush=True)
        raise SystemExit(DONE)
    [pattern] = re.findall(r"^usage:.*?(?=\s*\n\s*\n|\s*\Z)", usage, re.IGNORECASE | re.DOTALL | re.MULTILINE)
    options, positionals = _split_line(argv, usage, pattern, legacy)
    # docopt would take an argument that begins with a hyphen for an option, so it gets a number in its place.
    numbered = {f"\0{number}": word for number, word in enumerate(positionals)}
    from docopt import DocoptExit, docopt
    try:
        args = docopt(usage, options + [number if word[:1] == "-" else word for number, word in numbered.items()], False)
    except DocoptExit:      # whose own message would repeat the key
        needed = re.sub(r"(?i)usage:|\[.*?\](\.\.\.)?|-\w+[ =]\w+|=\w+|\S+\.py", "", pattern.splitlines()[-1]).split()
        raise _bad_line(f"missing: {', '.join(more)}" if (more := needed[len(positionals):]) else "too many arguments "
                        "(quote what has spaces), an option is missing, or two exclude each other", pattern) from None
    if args.get("--help") or args.get("--version"):      # with other words: it must not do its job, nor say that it did
        raise _bad_line("--help and --version stand alone", pattern)
    return {name: [numbered.get(item, item) for item in value] if isinstance(value, list) else numbered.get(value, value)
            for name, value in args.items()}


def _wrap(line: str) -> str:
    """Return a line of a help, broken where it is too long for the terminal that it goes to; commands stay whole."""
    indent, width = len(line) - len(re.sub("^ *(?:[-A-Z].*?  +)?", "", line)), shutil.get_terminal_size().columns
    is_whole = not sys.stdout.isatty() or len(line) <= width or indent == 2
    return line if is_whole else textwrap.fill(line, width, subsequent_indent=" " * indent)


def _split_line(argv: list[str], usage: str, pattern: str, legacy: bool) -> tuple[list[str], list[str]]:
    """Return the words of a command line that are options with their values, and those that are arguments."""
    import getopt
    takes_value, canonical = dict[str, bool](), dict[str, str]()      # an option's last name stands for all of them
    for head in re.findall(r"^ *(-\S.*?)(?:  |$)", usage, re.MULTILINE):
        names = re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", head)
        takes_value.update(dict.fromkeys(names, bool(re.search(r"[ =][A-Z<]", head))))
        canonical.update(dict.fromkeys(names, names[-1]))
    short = "".join(name[1] + ":" * takes for name, takes in takes_value.items() if name[1] != "-")
    long = [name[2:] + "=" * takes for name, takes in takes_value.items() if name[1] == "-"]

    def is_argument(word: str) -> bool:     # though it begins with a hyphen
        return (bool(re.match("-[^-]", word)) and not takes_value.get(word[:2]) and (legacy or word[1].isdigit())
                and any(f"-{letter}" not in takes_value for letter in word[1:]))

    end = argv.index("--") if "--" in argv else len(argv)
    rest = [f"\0{word}" if is_argument(word) else
            word[:2] + word[3:] if legacy and word[2:3] == "=" and word[:2] in takes_value else word for word in argv[:end]]
    options, positionals = list[tuple[str, str]](), list[str]()
    try:
        while rest:
            chosen, rest = getopt.getopt(rest, short, long)
            options += chosen
            positionals += [rest.pop(0)] if rest else []
    except getopt.GetoptError as error:
        near = did_you_mean(f"--{error.opt}", takes_value) if "not recognized" in error.msg else ""
        raise _bad_line(f"{error.msg}{near} (an argument that begins with a hyphen goes behind --)", pattern) from None
    positionals = [word.removeprefix("\0") for word in positionals] + argv[end + 1:]
    if legacy:
        many = {name for name in takes_value if re.search(rf"{name}\b\S*( [A-Z]+\S*)?\.\.\.", pattern)}
        options = list({number if name in many else canonical[name]: (name, value)
                        for number, (name, value) in enumerate(options)}.values())
        if not re.search(r"\.\.\.| -", pattern):      # those with required options used argparse, which ignores nothing
            most = max(len(re.findall(r"\b[A-Z][A-Z_0-9]*\b", line)) for line in pattern.replace("Usage", "").splitlines())
            if not any(word.startswith("-") for word in positionals[most:]):       # a mistyped option is not ignored
                positionals = positionals[:most]
    empty = [name for name, value in options if takes_value[name] and re.fullmatch(r"[\s\0,]*", value)]     # "$A,$B"
    if empty:
        raise _bad_line(f"{empty[0]} is empty: is a variable unset?", pattern)
    return [word for name, value in options for word in [name] + [value.removeprefix("\0")] * takes_value[name]], positionals


def _bad_line(problem: str, pattern: str) -> GalaxyError:
    return GalaxyError(problem, USAGE, table=f"{pattern}\n{script_name()} --help says more")


def did_you_mean(text: str, names: Collection[str]) -> str:
    """Return `: did you mean NAME?` with the name that `text` nearly is, or ends; "" where there is none."""
    import difflib
    same = [name for name in names if name.endswith(f"|{text}") or name.casefold() == text.casefold()]
    near = same or difflib.get_close_matches(text, names, 1)
    return f": did you mean {near[0]}?" if near else ""


def int_option(args: dict[str, Any], option: str, least: int = 0) -> int | None:
    """Return the value of `option` as an integer, None where it was not given; raise a usage error for any other text."""
    text = args[option]
    if text is not None and (not re.fullmatch("[0-9]{1,9}", text) or int(text) < least):
        raise GalaxyError(f"{option}={text}: expected an integer, {least} or more", USAGE)
    return None if text is None else int(text)


def parse_id(text: str, name: str, is_folder: bool = False) -> str:
    """Return `text` where it can be an id (of a library folder if `is_folder`); else raise a usage error naming `name`."""
    if not re.fullmatch(r"[\w-]+", text):
        raise GalaxyError(f"{name}: {shorten(text, 40)!r} is not an id{'' if text else ': is a variable unset?'}", USAGE)
    if is_folder and not text.startswith("F"):
        raise GalaxyError(f"{name}: {text} is no folder's id, which begins with F like a library's root_folder_id", USAGE)
    return text


def bool_option(text: str | None, name: str) -> bool:
    """Whether `text`, the value of the argument `name`, is one of Galaxy's words for true; False where it was not given."""
    word = "no" if text is None else text.strip().lower()
    if word not in ("true", "yes", "on", "1", "t", "y", "false", "no", "off", "0", "f", "n"):
        raise GalaxyError(f"{name}: {shorten(str(text), 40)!r} is neither true nor false", USAGE)
    return word in ("true", "yes", "on", "1", "t", "y")


def parse_payload(pairs: list[str]) -> Any:
    """Return the payload that pairs describe: `NAME=VALUE` is a string, `NAME:=JSON` JSON, `NAME:=@FILE` a file's JSON,
    `NAME@=FILE` a file's text, `@FILE` alone all of it; FILE `-` is standard input. Messages show no values."""
    if len(pairs) == 1 and pairs[0].startswith("@"):
        return read_json(pairs[0][1:])
    data: dict[str, Any] = {}
    for number, pair in enumerate(pairs, 1):
        match = re.fullmatch("(?s)([^=]*?)([:@]?)=(.*)", pair)
        name, kind, value = match.groups() if match else ("", "", "")
        if not name:
            raise GalaxyError(f"NAME=VALUE number {number}: no = in it, or nothing before it; @FILE must stand alone", USAGE)
        if kind == ":":
            data[name] = read_json(value[1:]) if value.startswith("@") else read_json(f"{name}:=", value)
        else:
            data[name] = read_text(value) if kind else value
    return data


def read_json(name: str, text: str | None = None) -> Any:
    """Return the JSON in the file `name`, in standard input for `-`, or in `text`; raise a usage error where it is none."""
    try:
        return json.loads(read_text(name) if text is None else text)
    except (ValueError, RecursionError) as error:
        raise GalaxyError(f"{name}: not JSON: {error} (a string has quotes in JSON: 'name:=\"value\"')", USAGE) from None


# ------------------------------------------------------------------------------------------------------------- Galaxy

ONE_SHOT, UNATTENDED = 10, 600      # seconds of asking again: a person may have mistyped a port; a restart takes minutes
# The size of a page (Galaxy 26.1 gives at most 100 invocations), and an order that misses nothing while things are added.
MOST_PAGES = 500        # of a list without a limit
PAGING: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("histories", "datasets"), {"limit": 500, "order": "create_time-asc"}),
    "contents": {"limit": 500, "order": "hid-asc"}, "workflows": {"limit": 500},
    "invocations": {"limit": 100, "sort_by": "create_time", "sort_desc": "false"}, "jobs": {"limit": 500},
}

# From Galaxy 26.1's schema (DatasetState, JobState). `paused` jobs and datasets wait for a person, so they don't move.
NON_TERMINAL_DATASET_STATES = ("new", "upload", "queued", "running", "setting_metadata")
# `deleting` may last for ever (26.1, jobs of a cancelled invocation), and never ends well.
NON_TERMINAL_JOB_STATES = ("new", "resubmitted", "upload", "waiting", "queued", "running", "stop")
TERMINAL_JOB_STATES = ("ok", "skipped", "error", "failed", "deleting", "deleted", "stopped", "paused")


class Galaxy:
    """One server, asked with one key. `url` is the address as the user gave it, completed; `base` the server's own. Paths
    are those under `/api/` (`histories/ID`), or whole addresses of the same server. All methods raise `GalaxyError`."""

    def __init__(self, key: str, url: str, patience: float = ONE_SHOT):
        url, key_in_url = _split_key(url)
        self.key, self.url = resolve_credentials(key_in_url or key, url)
        self.base = server_url(self.url)
        self.patience = _number_from_env("GALAXY_RETRY_MAX", patience)
        self.deadline = float("inf")        # by time.monotonic(); no request or wait goes beyond it

    def get(self, path: str, params: Any = None, **options: Any) -> Any:
        """Return the JSON answer to GET; an empty body is an error."""
        return _decode(self.request("GET", path, params=params, **options), self.base)

    def get_or_none(self, path: str, params: Any = None, absent: tuple[int, ...] = (400, 403, 404)) -> Any:
        """Return the JSON answer to GET, None where Galaxy has nothing at `path` for this key (a status in `absent`)."""
        try:
            answer = self.get(path, params)
        except GalaxyError as error:
            if error.status in absent:      # 400: an id that Galaxy cannot decode
                return None
            raise
        if not answer and answer != []:
            raise GalaxyError(f"{Answer.latest.line}: the answer is {json.dumps(answer)}, which says nothing")
        return answer

    def post(self, path: str, data: Any = None) -> Any:
        """Return the JSON answer to POST of `data` as JSON; raise an error for one that does not show what was made."""
        return require_made(self.call("POST", path, data), bool(MAKING_ROUTES.match(self.url_for(path))))

    def call(self, method: str, path: str, data: Any = None) -> Any:
        """Return the JSON answer to a request with `data` as its JSON body, or a `MultipartForm`; None for an empty body."""
        return _decode(self.request(method, path, **getattr(data, "request_options", {"json": data})), self.base)

    put = functools.partialmethod(call, "PUT")
    delete = functools.partialmethod(call, "DELETE")

    def pages(self, path: str, params: dict[str, Any] | None = None, limit: int | None = None) -> Iterator[Any]:
        """Yield the members of a list to its very end, or the first `limit` of them, asking page by page; one that moves to
        a later page meanwhile comes once. A page with nothing new ends the list too: the route may not know `offset`."""
        parts = urlsplit(self.url_for(path))
        route = parts.path.rstrip("/").rsplit("/", 1)[-1]
        query = {**PAGING.get(route, {"limit": 500}), **parse_qs(parts.query, keep_blank_values=True), **(params or {})}
        texts = {name: str(value[0] if isinstance(value, list) else value)
                 for name, value in {"offset": 0, **query}.items() if name in ("limit", "offset")}
        size, offset = (int_option(texts, name) or 0 for name in ("limit", "offset"))
        if limit:
            query["limit"] = size = min(size, limit)
        known, last_page, count = set[str](), list[str](), 0
        for _ in itertools.count() if limit else range(MOST_PAGES):
            answer = self.get(parts._replace(query="").geturl(), {**query, "offset": offset} if offset else query)
            if not isinstance(answer, list):
                raise GalaxyError(f"{parts.geturl()}: the answer is not a list, so it has no pages")
            keys = [_member_key(member, route) for member in answer]
            # A member without an id may honestly repeat.
            fresh = [member for member, key in zip(answer, keys) if key not in known or not key.startswith("id ")]
            if not fresh or (keys == last_page and route not in PAGING):       # it knows no offset
                return
            last_page = keys
            known.update(keys)
            yield from fresh[:None if limit is None else limit - count]
            count, offset = count + len(fresh), offset + len(answer)
            if len(answer) > size or (route in PAGING and len(answer) < size) or (limit and count >= limit):
                return      # all of it at once, or the last page
        raise GalaxyError(f"{parts.geturl()}: {count} members, and no end of the list: is it that long? --limit=N takes N")

    def find(self, path: str, name: str) -> dict[str, Any]:
        """Return the one thing in the list at `path` named exactly `name`; raise an error for none, or for several."""
        narrow = {"q": "name-eq", "qv": name} if path in ("histories", "datasets") else {}
        matches: list[dict[str, Any]] = [thing for thing in self.pages(path, narrow)
                                         if name in (thing.get("name"), thing.get("id")) and not thing.get("deleted")]
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(f"{thing['id']} {str(thing.get('update_time') or '')[:16]}".strip() for thing in matches)
            raise GalaxyError(f"{len(matches)} {path} are named {name!r}: {ids}; give the id of one, or rename the others")
        hint = " (asked without a key)" if self.key is None else did_you_mean(
            name, [str(thing.get("name")) for thing in self.pages(path, limit=500)])
        raise GalaxyError(f"none of your {path} on {self.base} is named {name!r}{hint}")

    def resolve(self, path: str, text: str, absent: tuple[int, ...] = (400, 404)) -> dict[str, Any]:
        """Return the one thing at `path` whose id, or else exact name, is `text`; otherwise as `get_or_none`, `find`."""
        is_id = re.fullmatch("([0-9a-f]{16})+", text)
        return (self.get_or_none(f"{path}/{text}", absent=absent) if is_id else None) or self.find(path, text)

    def current_user(self) -> dict[str, Any]:
        """Return the user whose key this is; raise an error for nobody's, which Galaxy answers often with an empty list."""
        user: dict[str, Any] = self.get("users/current")
        if not isinstance(user, dict) or not user.get("id"):
            raise GalaxyError(f"{self.base} does not recognise this API key: check it", status=401)
        return user

    def require_admin(self, task: str, otherwise: str = "") -> dict[str, Any]:
        """Return the user whose key this is; raise an error for one who is no administrator, as `task` needs."""
        user = self.current_user()
        if not user.get("is_admin"):
            raise GalaxyError(f"{task} needs an administrator's key, and {user.get('email')} is not one on {self.base}: ask "
                              f"its administrators, whom admin_users names (galaxy.yml){otherwise}", status=403)
        return user

    def url_for(self, path: str) -> str:
        """Return the whole address of `path` on this server."""
        if re.match(r"https?://", path):
            return normalize_url(path)
        return join_url(self.base, path) if path.startswith("/") else f"{self.base}/api/{path}"

    def request(self, method: str, path: str, *, allow_other_host: bool = False, auth: tuple[str, str] | None = None,
                patience: float | None = None, **options: Any) -> requests.Response:
        """Return Galaxy's answer of status 2xx; raise an error for any other. `options` are those of requests. Waits out
        passing trouble for `patience` seconds (by default this object's), and never sends again what may have been done.
        With `allow_other_host` a GET follows redirects to other servers (object stores), without the key."""
        url = self.url_for(path)
        headers = dict(options.pop("headers", None) or {})
        for _ in range(10):
            is_own = origin(url) == origin(self.base)
            if self.key and is_own:
                headers["x-api-key"] = self.key
            parts = urlsplit(self.base if is_own else url)
            password = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
            response = self._send(method, url, self.patience if patience is None else patience, headers=headers,
                                  auth=(auth if is_own else None) or password, **options)
            if 200 <= response.status_code < 300:
                return response
            if response.status_code not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                raise error_from_response(f"{method} {url}", response, self.base)
            target = ""
            with contextlib.suppress(ValueError):
                target = urljoin(url, response.headers["Location"])
            if not is_http_url(target):
                raise GalaxyError(f"{method} {url}: the server redirects to something that is not an address")
            is_reading = method in ("GET", "HEAD")
            if not is_reading or (origin(target) != origin(url) and not allow_other_host):
                reason = "where your key does not go unasked" if is_reading else f"and a {method} is not sent on"
                raise GalaxyError(f"{method} {url}: the server redirects to {target}, {reason}: use that address if your "
                                  "Galaxy is there", status=response.status_code)
            headers.pop("x-api-key", None)
            options.pop("params", None)
            url = target
        raise GalaxyError(f"{method} {url}: the server redirects in a loop")

    def _send(self, method: str, url: str, window: float, **options: Any) -> requests.Response:
        """Return the server's answer, after as many tries as this method may have and a `window` of seconds allows."""
        read, left = options.get("timeout", (10, 300 if method == "POST" else 60))[1], self.deadline - time.monotonic()
        read = min(_number_from_env("GALAXY_TIMEOUT", read) or float("inf"), max(left, 1))
        options["timeout"] = (10, read if read < float("inf") else None)
        # requests reads ~/.netrc unless an auth is given, and would send a host's password to each of its ports.
        options["auth"] = options.get("auth") or (lambda request: request)
        if os.environ.get("GALAXY_INSECURE") == "1":
            options["verify"] = False       # on the request: the session's own gives way to $REQUESTS_CA_BUNDLE
        window, end, longest, failures = min(window, left), None, 1.0, 0
        is_streamed, options["stream"] = options.get("stream"), True
        while True:
            try:
                response = shared_session().request(method, url, allow_redirects=False, **options)
                response.raw.enforce_content_length = method != "HEAD"     # urllib3 1.26 does not by itself
                if not is_streamed or response.status_code >= 300:
                    read_body(response)
                status, failures = response.status_code, failures + (response.status_code == 500)
                if method in IDEMPOTENT_METHODS:
                    again = status in TRANSIENT_STATUSES or (status == 500 and failures == 1)
                else:       # the server says that it did not take it
                    again = status == 429 or (status == 503 and "Retry-After" in response.headers)
                if not again:
                    return response
                requested, trouble = retry_after(response), f"{status} {response.reason}"
                problem = error_from_response(f"{method} {url}", response, self.base)
                response.close()
            except requests.RequestException as error:
                trouble, stage = classify_failure(error)
                again, requested = stage == UNSENT or (stage == BROKEN and method in IDEMPOTENT_METHODS), 0.0
                problem = no_answer_error(f"{method} {url}", method, error)
                problem.__cause__ = error
            # Exponential backoff with full jitter, 1 to 60 s, within the window from the first trouble on.
            end = end or time.monotonic() + window
            left = end - time.monotonic()
            if not again or left <= 0 or requested > left:
                raise problem
            pause = max(requested, min(random.uniform(0, longest), left))
            longest = min(longest * 2, 60)
            if sys.stderr.isatty():
                eprint(f"{self.base}: {trouble}; trying again in {pause:.0f} s")
            time.sleep(pause)

    def poll(self, timeout: float | None) -> Iterator[int]:
        """Yield as `backoff(timeout)` does, and let no request meanwhile wait longer; the earliest of nested ends counts."""
        outer = self.deadline
        self.deadline = min(outer, time.monotonic() + (float("inf") if timeout is None else timeout))
        try:
            yield from backoff(None if self.deadline == float("inf") else self.deadline - time.monotonic())
        finally:
            self.deadline = outer


def backoff(timeout: float | None = None, first: float = 0.25, longest: float = 30.0) -> Iterator[int]:
    """Yield 0, 1, 2, ... with pauses that grow from `first` to `longest` seconds; the last after `timeout` seconds. A look's
    own time takes up to half of the pause after it: a server that is far is asked about as often as one that is near."""
    end, pause = time.monotonic() + (float("inf") if timeout is None else timeout), first
    for look in itertools.count():
        began = time.monotonic()
        yield look
        if (now := time.monotonic()) >= end:
            return
        time.sleep(min(max(pause / 2, began + pause - now), end - now))
        pause = min(pause * 1.15, longest)


class Answer(dict[str, Any]):
    """An object in an answer's JSON; asked for a key that it lacks, it raises a `GalaxyError` that names the request."""

    latest: Any = type("", (threading.local,), {"line": "", "status": 0})()     # of the request that this thread sent last

    def __init__(self, *content: Any):
        super().__init__(*content)
        self.request = Answer.latest.line

    def __missing__(self, key: str) -> Any:
        raise GalaxyError(f"{self.request}: the answer has no {key!r}, which Galaxy has from 24.1 on: is it one?")


# A POST to these makes things, and is answered by their ids; others may be answered by a tool's id, true, an empty list.
MAKING_ROUTES = re.compile(r"[^?]*/api/((histories|libraries)(/\w+/contents)?|workflows(/\w+/invocations)?|folders/\w+"
                           r"|dataset_collections)/?(\?|$)")
# What, in a request and its answer as Python prints them, may mean that nothing, or not all, was done (compiled late).
DOUBTFUL = (r"'(errors|failed)': \[[^]]|'danger'|'extra': \{|_count': | (False|\[\]|\{\})$|/tags/\S+ None$|"
            r"/permissions\b|'(items|ids)': \[|^DELETE .*('deleted': False|/(invocations|usage)/)|"
            r"undelete.*'deleted': True|^(?!.*'purged': True).*('purge'|[?&]purge=)|"
            r"^\w+ \{[^}]*'(deleted|visible|published|importable|archived)'")


def says_nothing(answer: Any) -> bool:
    """Whether nothing can have been made that has this answer: null, "", an empty id, no value, a list of nothing else."""
    if isinstance(answer, dict):
        return not answer.get("id", True) or all(value is None for value in answer.values())
    return all(map(says_nothing, answer)) if isinstance(answer, list) else answer in (None, "")


def require_made(answer: Any, needs_id: bool = False) -> Any:
    """Return an answer that shows what was made or deleted: things with good ids, or a text; raise an error for others."""
    for made in (answer if isinstance(answer, list) else [answer]) or [None]:
        name = made.get("id", "" if needs_id else "-") if isinstance(made, dict) else not needs_id and made
        if not made or not isinstance(name, str) or (isinstance(made, dict) and not re.fullmatch(r"[\w-]+", name)):
            raise GalaxyError(f"{Answer.latest.line}: the answer does not show what was done: {MAY_HAVE_ACTED}", lost=True)
    return answer


def _decode(response: requests.Response, base: str) -> Any:
    """Return the answer's JSON, its objects as `Answer`; None for an empty body, but to a GET."""
    method, status = str(response.request.method), response.status_code
    Answer.latest.line, Answer.latest.status = f"{method} {response.url}", status
    if not response.content.strip():
        if method == "GET" or (method == "POST" and status != 204):
            raise GalaxyError(f"{Answer.latest.line}: {status} with an empty body in place of JSON: is this an address of "
                              "the API, or does a proxy answer for Galaxy?", status=status, body="", lost=method == "POST")
        return None
    try:
        answer = json.loads(response.content, object_hook=Answer, parse_constant=int)     # NaN is no JSON
        if method == "POST" and answer != [] and says_nothing(answer):
            require_made([])
        if isinstance(answer, dict) and answer.get("err_code") and answer.get("err_msg"):
            raise error_from_response(Answer.latest.line, response, base)
        return answer
    except (ValueError, RecursionError):
        title = page_title(text := body_text(response)) * ("/display" not in response.url)      # a dataset's own is none
        kind = f"a page titled {title!r}" if title else repr(shorten(text, 60))
        hint = f"addresses of the API go on with /api/, as in {base}/api/histories"
        if "/api/" in response.url:
            hint = "a proxy answers for Galaxy, see what it wants" if title else "for data take dataset_download.py"
        raise GalaxyError(f"{Answer.latest.line}: {status}, not JSON but {kind}: {hint}", status=status, body=text) from None


class _TimedResponse(HTTPResponse):
    """http.client's, but a cut within the headers is an error, and all waits have one time limit together."""

    def __init__(self, sock: Any, *rest: Any, **options: Any):
        super().__init__(sock, *rest, **options)
        self.limit = self.left = sock.gettimeout() or float("inf")
        self.room, self.is_at_end = 1e6, False      # bytes of headers, those of all `100 Continue` counted
        raw: Any = self.fp.raw
        self.receive, raw.readinto = raw.readinto, self.receive_in_time     # which the buffer before it calls

    def receive_in_time(self, buffer: Any) -> int:
        began = time.monotonic()
        count = int(self.receive(buffer) or 0)
        self.is_at_end, self.room = count == 0, self.room - count
        self.left = min(self.limit, self.left - (time.monotonic() - began) + count / 1024)      # 1 KiB a second is in time
        if self.left < 0 or self.room < 0:
            raise socket.timeout("Read timed out")
        return count

    def begin(self) -> None:
        super().begin()
        if self.is_at_end:
            raise ConnectionResetError("the connection ended within the headers")
        self.room = float("inf")


class _Adapter(requests.adapters.HTTPAdapter):
    def cert_verify(self, conn: Any, *rest: Any) -> None:
        """Let the pool `conn` read answers by `_TimedResponse`; all pools of all versions of requests come by here."""
        super().cert_verify(conn, *rest)        # type: ignore[no-untyped-call]
        if not issubclass(conn.ConnectionCls.response_class, _TimedResponse):
            conn.ConnectionCls = type("Connection", (conn.ConnectionCls,), {"response_class": _TimedResponse})


def read_body(response: requests.Response) -> None:
    """Read an answer's body; raise an error for one of more than $GALAXY_MAX_JSON bytes, and as requests for one cut off."""
    most, coding = _number_from_env("GALAXY_MAX_JSON", 2**26, "bytes"), response.headers.get("Content-Encoding", "")
    content = bytearray()
    for piece in response.iter_content(2**16):
        content += piece
        if len(content) > most or coding.lower() not in ("", "identity", "gzip", "deflate"):
            response.close()
            why = f"has more than {most:.0f} bytes ($GALAXY_MAX_JSON)" if len(content) > most else f"is packed by {coding}"
            raise GalaxyError(f"{response.request.method} {response.url}: the answer {why}")
    response._content = bytes(content)      # as requests' own reading does
    is_measured = response.headers.get("Content-Length", "").isdecimal() or "Transfer-Encoding" in response.headers
    if is_measured or response.status_code not in (200, 201, 202, 203) or response.request.method == "HEAD":
        return
    text = content.decode("utf-8", "replace")       # of which nothing tells where it ends
    if not text or (text[0] in '{["' and _parse_or_text(text) is text):
        raise requests.exceptions.ChunkedEncodingError("the body was cut off")


@functools.cache
def shared_session() -> requests.Session:
    """Return the process's one session, with its pool of connections."""
    session = requests.Session()
    session.mount("http://", _Adapter(pool_maxsize=64))     # connections that are kept
    session.mount("https://", _Adapter(pool_maxsize=64))
    session.headers["Accept-Encoding"] = "gzip, deflate"        # others expand without a bound
    # `Galaxy.request` follows redirects; requests would prepare the next request even when told not to follow.
    session.get_redirect_target = lambda resp: None     # type: ignore[method-assign]
    session.headers["User-Agent"] = f"galaxy-api-scripts/{VERSION} ({script_name()})".encode("ascii", "replace").decode()
    # A cookie knows no ports: one of Galaxy's would go along with a download from another server on its host.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for proxy in getproxies().values():
        register_password(proxy)
    if os.environ.get("GALAXY_INSECURE") == "1":
        import warnings
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
        eprint("warning: GALAXY_INSECURE=1: the server's certificate is not checked")
    return session


def _number_from_env(variable: str, default: float, unit: str = "seconds") -> float:
    text = os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[0-9]{0,12}(\.[0-9]+)?", text):
        raise GalaxyError(f"{variable}={text}: expected a number of {unit}", USAGE)
    return float(text or default)


def _member_key(member: Any, route: str) -> str:
    """Return what identifies a member of a list: its id, or all of it as JSON where an id is not enough."""
    kind = member.get("history_content_type") if isinstance(member, dict) else None
    if isinstance(member, dict) and route in PAGING and not isinstance(member.get("id", ""), str):
        raise GalaxyError(f"{Answer.latest.line}: the answer has an id that is no text")
    if isinstance(member, dict) and "id" in member and (kind or route not in ("contents", "datasets")):
        return f"id {kind} {member['id']}"
    return json.dumps(member, sort_keys=True)       # a dataset and a collection may have the same id


def require_active_folder(galaxy: Galaxy, library: str = "", folder: str = "") -> str:
    """Return the id of `folder`, by default of the root folder of `library`, by default that of the address; raise an error
    where one of them, or a folder above, is deleted: Galaxy 26.1 still fills those, and nobody sees what is in them."""
    library = library or urlsplit(url_on_route(galaxy, "libraries/ID/contents")).path.split("/")[-2]
    about = galaxy.get(f"libraries/{library}")
    label, next_folder = f"library {library}", folder
    while next_folder and not about.get("deleted"):
        about = galaxy.get(f"folders/{next_folder}")
        label, next_folder = f"folder {next_folder}", about["parent_id"]
    if about.get("deleted"):
        raise GalaxyError(f"{label} ({about['name']}) is deleted: an administrator of the server can bring it back")
    return folder or str(about["root_folder_id"])


# ------------------------------------------------------------------------------- what comes back, and whether to ask again

IDEMPOTENT_METHODS = {"GET", "HEAD", "PUT", "DELETE"}
TRANSIENT_STATUSES = {408, 429, 502, 503, 504}      # these pass by themselves
MAY_HAVE_ACTED = "the server may have done it all the same, so look before you send it again"
# Of a connection that failed: nothing can have reached the server; it may have served the request; no use to try again.
UNSENT, BROKEN, HOPELESS = "unsent", "broken", "hopeless"


def classify_failure(error: Exception) -> tuple[str, str]:
    """Return what happened to a connection in a few words, and how far the request got."""
    kinds, text = requests.exceptions, str(error)
    cause = type(getattr(error.args[0] if error.args else None, "reason", None)).__name__
    is_unsent = cause in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")
    if isinstance(error, (kinds.ProxyError, kinds.InvalidProxyURL)) or re.search("^Proxy URL|SOCKS", text):
        is_unsent |= isinstance(error, kinds.ProxyError) and "Tunnel connection failed: 4" not in text
        return "the proxy that your environment names can't be reached or refuses", UNSENT if is_unsent else HOPELESS
    if isinstance(error, kinds.SSLError) and "EOF" not in text:
        if "CERTIFICATE_VERIFY_FAILED" in text or "doesn't match" in text:
            why = re.search(r"certificate verify failed: ([^(\"']+)", text) or ["", "another host"]
            return (f"its certificate does not verify ({why[1].strip()}): set REQUESTS_CA_BUNDLE to your authority's file "
                    "(PEM), or GALAXY_INSECURE=1 to go without"), HOPELESS
        return "no TLS at that port: is it an http:// address?" if "WRONG_VERSION" in text else "TLS failed", HOPELESS
    for kind, words, stage in ((kinds.InvalidJSONError, "NaN and Infinity are not JSON", HOPELESS),
                               (kinds.ContentDecodingError, "the answer's compression is broken", HOPELESS),
                               (ValueError, "not the address of a server", HOPELESS),        # InvalidURL and its like
                               (kinds.ConnectTimeout, "no connection in time", UNSENT),
                               (kinds.Timeout, "no answer in time", BROKEN)):
        if isinstance(error, kind):
            return words, stage
    if is_unsent:
        if re.search("resol|getaddrinfo|Name or service|nodename", text, re.IGNORECASE):
            return "no such host", UNSENT
        return "connection refused" if "refused" in text else "no connection", UNSENT
    words = "no answer in time" if "Read timed out" in text else "the connection broke before the answer was whole"
    return words, BROKEN if isinstance(error, (kinds.ConnectionError, kinds.ChunkedEncodingError)) else HOPELESS


def retry_after(response: requests.Response) -> float:
    """Return the seconds in either form of `Retry-After` (RFC 9110, 10.2.3), 0 where there is none."""
    text = response.headers.get("Retry-After", "").strip()
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return float(text) if text.isdecimal() else max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def no_answer_error(request: str, method: str, error: Any) -> GalaxyError:
    """Return the error for a request that got no answer; `request` names it in the message."""
    words, stage = classify_failure(error)
    text = f"{request}: {words}"
    if stage == UNSENT:
        return GalaxyError(f"{text}: is the address right, and is the server up?", TRY_LATER)
    if stage == HOPELESS:
        return GalaxyError(text, USAGE if isinstance(error, (ValueError, requests.exceptions.InvalidJSONError)) else FAILED)
    size = _body_size(error.request)
    if "MiB" in size and not isinstance(error, requests.exceptions.Timeout):    # more than nginx takes by default
        text += f" (a proxy before Galaxy may refuse a body of {size})"
    lost = method not in IDEMPOTENT_METHODS
    return GalaxyError(f"{text}: {MAY_HAVE_ACTED if lost else 'try again later'}", TRY_LATER, lost=lost)


def error_from_response(request: str, response: requests.Response, base: str) -> GalaxyError:
    """Return the error for an answer from the server `base`: what was asked, what came back, what to try."""
    status, body = response.status_code, body_text(response)
    message, details, code = error_details(body)
    status_line = f"{status} {response.reason or ''}".rstrip()
    advice = proxy_hint(response, body, base)
    if advice is None:
        advice = error_hint(response, message, code, base)
    else:
        status_line += ", from a proxy before Galaxy"
        message = "" if message.startswith(str(status)) else message    # most such pages have no other title
    words = dict.fromkeys(shorten(part, 500).strip(": .,") for part in (status_line, message, "; ".join(details)))
    lost = response.request.method not in IDEMPOTENT_METHODS and status in (408, 502, 503, 504)
    text = ": ".join(part for part in (request, *words, MAY_HAVE_ACTED if lost else advice) if part)
    return GalaxyError(text, TRY_LATER if status in TRANSIENT_STATUSES else FAILED, status=status, body=body,
                       err_msg=message, lost=lost, phrase=response.reason or "", http_headers=dict(response.headers))


def proxy_hint(response: requests.Response, body: str, base: str) -> str | None:
    """Return what to try after an error of a proxy ("" where there is no advice), None where it may be Galaxy's own: JSON,
    a page of its own (404), or the text of a 500; Galaxy asks for no password as browsers know it (26.1, measured)."""
    status, request = response.status_code, response.request
    # The error pages that nginx and Apache make by themselves.
    pages = r"<center>(nginx|openresty)\b|<html><head>\n<title>\d{3} [^<\n]*</title>\n</head><body>\n<h1>"
    by_proxy = (status in (413, 502, 504) or (status == 503 and "<html" in body.lower())
                or (status == 401 and "WWW-Authenticate" in response.headers) or bool(re.search(pages, body)))
    if not by_proxy or _parse_or_text(body) is not body:
        return None
    hints = {
        401: "it asks for its own password: write NAME:PASSWORD@ before the host in the address" if "Authorization" not in
             request.headers else "it asks for a name and password of its own, and refuses those that were sent",
        404: f"it does not pass that address on: is {base} your Galaxy's address, with its prefix if it has one?",
        413: f"it refuses a body of {_body_size(request)}; its administrator can raise the limit (client_max_body_size)"}
    return hints.get(status, "Galaxy is down or too slow: try again later" if status in TRANSIENT_STATUSES else "")


def _body_size(request: requests.PreparedRequest | None) -> str:
    """Return the size of a request's body in words."""
    size = int(request.headers.get("Content-Length", 0)) if request is not None else 0
    return f"{size / 2**20:.3g} MiB" if size >= 2**20 else f"{size} bytes"


def error_hint(response: requests.Response, message: str, code: int | None, base: str) -> str:
    """Return what to try after an error with Galaxy's `message` and `err_code`; "" where there is no advice."""
    status, request, url = response.status_code, response.request, str(response.request.url)
    hints = (
        (status in (401, 403) and "x-api-key" not in request.headers,
         "" if "Authorization" in request.headers else "it was asked without a key"),
        # Some routes of Galaxy 26.1 say so with a 403.
        (status == 401 or "API key is not valid" in message, f"check the key: key_show.py {base} EMAIL shows yours"),
        (code == 403004, "the server's administrator can allow it in galaxy.yml"),
        (code == 403006 or (status == 403 and "administrators can" in message),
         "this needs an administrator's key; the server's administrator names them in admin_users of galaxy.yml"),
        (code in (403002, 403005) and re.search("/api/(libraries|folders)/", url),
         "the library's managers and the server's administrator can permit it"),
        (status == 404 and code is None and "/api/" not in f"{urlsplit(url).path}/",
         f"addresses of the API have /api/ behind the server's own, as in {urljoin(url, '/api/users')}"),
        (status == 404 and code is None,
         f"Galaxy has no such address for {request.method}: {base}/api/docs lists those it has"),
        (code == 400009 or (code == 400008 and "invalid id" in message.lower()),
         "an id is what display.py shows in the field id"),
        (code == 400008 and "should be a valid" in message, "NAME=VALUE sends a string, NAME:=JSON any other type"),
        (status == 500, "Galaxy failed over it; its administrator's log says why"),
        (status in TRANSIENT_STATUSES, "try again later"))
    return next((hint for applies, hint in hints if applies), "")


def body_text(response: requests.Response) -> str:
    """Return the first 100,000 bytes of the body as text, "" where they can't be read."""
    with contextlib.suppress(LookupError, ValueError, requests.RequestException):
        return response.content[:100_000].decode(response.encoding or "utf-8", "replace")
    return ""


def page_title(text: str) -> str:
    """Return the title of an HTML page, "" where it has none."""
    match = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return shorten(match.group(1), 100) if match else ""


def error_details(body: str) -> tuple[str, list[str], int | None]:
    """Return an answer's message, its findings on parts of the payload (`place: message`), and Galaxy's `err_code`."""
    answer = _parse_or_text(body)
    if not isinstance(answer, dict):
        return shorten(page_title(body) or body * ("<" not in body[:200]) if answer is body else str(answer)), [], None
    message, errors = answer.get("err_msg") or answer.get("detail") or "", answer.get("validation_errors") or []
    if isinstance(message, list):      # FastAPI's own form, as the upload routes answer
        message, errors = "", message
    findings = [finding for finding in _validation_messages(errors) if finding.partition(": ")[2] not in str(message)]
    code = answer.get("err_code")
    return shorten(str(message), 500), findings[:10], code if isinstance(code, int) else None


def _validation_messages(error: Any) -> list[str]:
    """Return `place: message` for each finding in `validation_errors` or a part of it, which may be JSON in a string."""
    error = _parse_or_text(error) if isinstance(error, str) else error
    if isinstance(error, list):
        return [finding for part in error for finding in _validation_messages(part)]
    if not isinstance(error, dict):
        return [shorten(f": {error}")]
    place = ".".join(map(str, error["loc"])) if isinstance(error.get("loc"), list) else ""
    return [shorten(f"{place}: {error.get('msg', '')}")]


def _parse_or_text(text: str) -> Any:
    """Return the JSON in `text`, or `text` itself."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    return text


# ---------------------------------------------------------------------------------------------- errors and exit codes

DONE = 0
FAILED = 1          # Galaxy refused, or the job failed
USAGE = 2           # a bad command line
SOME_FAILED = 3     # some of many failed
STILL_RUNNING = 4   # the time was up first
TRY_LATER = 75      # the server can't be reached, or another run holds the lock (EX_TEMPFAIL of sysexits.h)
INTERRUPTED = 130   # Ctrl-C; 128+N for signal N


class GalaxyError(Exception):
    """`str()` of it is one line that is fit to show: what failed, why, what to try, and no key. `exit_code` is the script's.
    Where Galaxy answered: `status` (HTTP) with its `phrase`, `body` (text) and `err_msg` (its own words). `lost`: a POST had
    no good answer, so the server may have acted: look before you send it again. `table`: what there is to choose from."""

    def __init__(self, text: str, exit_code: int = FAILED, *, status: int | None = None, body: str | None = None,
                 err_msg: str | None = None, lost: bool = False, table: str = "", phrase: str = "",
                 http_headers: dict[str, str] | None = None):
        super().__init__(one_line(redact(text)))
        self.exit_code, self.status, self.body, self.err_msg, self.lost = exit_code, status, body, err_msg, lost
        self.table, self.phrase, self.http_headers = table, phrase, http_headers or {}

    __str__ = Exception.__str__     # not urllib's


class GalaxyURLError(GalaxyError, URLError):
    """Raised by the helpers at the top: a `GalaxyError` that is also urllib's URLError, which old recipes catch."""

    def __init__(self, error: GalaxyError):
        self.__dict__.update(error.__dict__)
        self.args = error.args
        if not isinstance(self, HTTPError):     # whose reason is its msg
            self.reason = error.phrase or str(error)

    def __reduce__(self) -> tuple[Any, ...]:        # for copies, and on its way from another process
        error = GalaxyError(str(self))
        error.__dict__.update({name: self.__dict__[name] for name in error.__dict__})
        return type(self), (error,)


class GalaxyHTTPError(GalaxyURLError, HTTPError):
    """The same where Galaxy answered: also urllib's HTTPError, with `code`, `reason`, `headers`, `read()` and `close()`."""

    def __init__(self, error: GalaxyError):
        super().__init__(error)
        facts, body = self.__dict__, io.BytesIO((self.body or "").encode())
        facts.update(code=facts["status"] or 0, msg=self.phrase, hdrs=self.http_headers, filename="", url="", file=body,
                     fp=body, _closer=body)


@contextlib.contextmanager
def _recipe_errors() -> Iterator[None]:
    """Raise errors that are urllib's too; one that an old recipe does not catch ends it with one line, as before."""
    try:
        yield
    except GalaxyError as error:
        raise (GalaxyHTTPError if error.status else GalaxyURLError)(error) from error.__cause__


def _print_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> Any:
    is_missing = isinstance(error, ModuleNotFoundError) and str(error.name).startswith("galaxy_api_scripts")
    if os.environ.get("GALAXY_DEBUG") or not (is_missing or isinstance(error, (GalaxyError, KeyboardInterrupt))):
        return _hook_before(kind, error, trace)
    frames = traceback.extract_tb(trace)
    number = next((number for number, frame in enumerate(frames) if frame.filename == __file__), 0)
    helper, recipe = frames[number].name, frames[number - 1]      # which calls a helper of this file
    place = f"line {recipe.lineno} of {os.path.basename(recipe.filename)}"
    old = {"display": "exited", **dict.fromkeys(("submit", "update", "delete"), "returned a text that begins 'Error.'")}
    note = f" ({place}: {helper} raises where it {old.get(helper)} before: use try ... except GalaxyError; docs/legacy.md)"
    report_error(_describe(error)[0] + note * (helper in old and isinstance(error, GalaxyError)))


_hook_before, sys.excepthook = sys.excepthook, _print_uncaught


def run(main: Callable[[], int | None]) -> int:
    """Call `main()` and return its exit status; print what it raises as one line ($GALAXY_DEBUG: with the traceback)."""
    _prepare_process()
    threading.excepthook = lambda about: isinstance(about.exc_value, Exception) and report_error(*_describe(about.exc_value))
    _success_actions.clear()
    is_script = getattr(main, "__module__", "") == "__main__"
    try:
        status = main() or DONE
        sys.stdout.flush()
        for act in _success_actions:
            act()
        if _success_actions and is_script:
            os._exit(status)        # Python's own end takes 20 ms, within which it might still be killed
        return status
    except BrokenPipeError:     # `display.py ... | head` has seen enough
        status = 128 + 13       # SIGPIPE
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and is_script:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = report_error(*_describe(error))
        if isinstance(error, GalaxyError) and error.table:
            eprint(error.table)
    try:
        sys.stdout.flush()
    except OSError:     # full, or closed: discard the rest, or Python would try again at its end and complain by itself
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


# on_success(act) lets `run` call act() last, when a successful main's output is written: a run killed before has not ended.
_success_actions: list[Callable[[], object]] = []
on_success = _success_actions.append


def _prepare_process() -> None:
    """Make the streams take any text, and let signals run `finally` clauses."""
    for name, mode in (("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:      # closed by the caller: a result is an error then, and print would take stdout
            setattr(sys, name, open(os.open(os.devnull, mode), "w"))  # noqa: SIM115
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")   # a cron job's locale may know no more than ASCII
    if getattr(sys.stdout, "isatty", bool)():       # names of other people's things are printed there
        write = sys.stdout.write
        sys.stdout.write = lambda text: write(clean(text, "\n\t"))     # type: ignore[method-assign]
    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)       # `timeout` sends it to the process and to its group
        sys.exit(128 + number)

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):      # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, end)


def _describe(error: BaseException) -> tuple[str, int]:
    """Return the message for an error, and the exit status."""
    if isinstance(error, GalaxyError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else "standard output: " * ("Bad file" in str(error))
        return place + (error.strerror or str(error)), FAILED
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("galaxy_api_scripts"):
        return "the folder galaxy_api_scripts is missing: copy it beside this script, or install the project", FAILED
    if isinstance(error, ModuleNotFoundError):
        package = {"yaml": "PyYAML", "docopt": "docopt-ng"}.get(str(error.name), error.name)
        return f"the package {package} is not installed: pip install {package}", FAILED
    hint = "" if os.environ.get("GALAXY_DEBUG") else "; GALAXY_DEBUG=1 shows where"
    if Answer.latest.line and not isinstance(error, (AssertionError, ImportError, MemoryError)):
        return f"{Answer.latest.line}: the answer has another form than Galaxy's, as a text for a list perhaps{hint}", FAILED
    return f"unforeseen: {type(error).__name__}: {error}{hint}", FAILED


def report_error(text: str, exit_code: int = FAILED) -> int:
    """Print `text` as one line on standard error, below the traceback if $GALAXY_DEBUG is set, and return `exit_code`."""
    if os.environ.get("GALAXY_DEBUG") and sys.exc_info()[0]:
        eprint(traceback.format_exc())
    eprint(format_line[0](one_line(redact(text))))
    return exit_code


def eprint(text: str) -> None:
    """Print `text`, redacted, on standard error; ignore a full disk there."""
    with contextlib.suppress(OSError):
        print(clean(redact(text), "\n\t") + "\n", end="", file=sys.stderr, flush=True)      # whole lines of each thread


def script_name() -> str:
    """Return the name of the running script, such as `display.py`."""
    return os.path.basename(sys.argv[0] or "") or "python"


format_line: list[Callable[[str], str]] = [lambda text: f"{script_name()}: {text}"]     # of an error: see `date_lines`
known_secrets: set[str] = set()     # every key and password that this process has met


def register_secret(secret: str | None) -> None:
    """Keep `secret` out of every message from now on."""
    if secret and len(secret) > 5:      # a shorter one is not a key, and would blot out half of a message
        known_secrets.update((secret, quote(secret, safe="")))


def register_password(url: str) -> None:
    """Keep the password in an address out of every message from now on, in each form in which it is sent."""
    user, typed = urlsplit(url).username or "", urlsplit(url).password or ""
    for secret in (typed, unquote(typed), typed and b64encode(unquote(f"{user}:{typed}").encode()).decode()):
        register_secret(secret)


def redact(text: str) -> str:
    """Return `text` without keys and passwords: registered ones, `key=` in any URL, `user:password@` before any host."""
    for secret in sorted(known_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"([?&](?:api_)?key=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)
    return re.sub(r"://[^/\s]*@", "://", text)      # no pattern of the scheme: it would take hours over a long word


def redact_all(value: Any, names: str = "$.") -> Any:
    """Return a value of JSON without the secrets in its texts, nor what is named so that the pattern `names` fits."""
    if isinstance(value, dict):
        return {name: "***" if re.search(names, name) else redact_all(one, names) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_all(one, names) for one in value]
    return redact(value) if isinstance(value, str) else value


CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def clean(text: str, keep: str = "") -> str:
    """Return `text` with what a terminal obeys, or what turns its direction, written out (`\\x1b`), but for `keep`."""
    return CONTROL_CHARACTERS.sub(lambda match: match[0] if match[0] in keep else repr(match[0])[1:-1], text)


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters."""
    return CONTROL_CHARACTERS.sub("", re.sub(r"\s+", " ", text)).strip()


def shorten(text: str, most: int = 200) -> str:
    """Return the beginning of `text` on one line; redacted first, since half a key is a secret too."""
    return one_line(redact(text))[:most]


# ----------------------------------------------------------------------------------------------------------- printing

OWN_STYLES = ("table", "json", "jsonl", "csv", "tsv", "value")


def output_options(args: dict[str, Any], known: Iterable[str] = ()) -> dict[str, Any]:
    """Return `{"format": ..., "fields": [...]}`, for `show` and the helpers; raise a usage error for what is not `known`."""
    style, fields = args["--format"], args["--fields"]
    if style not in OWN_STYLES[1:] and (style or fields):
        import tabulate  # so that nothing is sent where it is missing
        if style and style not in (OWN_STYLES[0], *tabulate.tabulate_formats):
            raise GalaxyError(f"--format={style}: expected one of {', '.join(OWN_STYLES)} or a style of tabulate", USAGE)
    names = [name.strip() for name in fields.strip(" ,").split(",")] if fields else []
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise GalaxyError(f"--fields: there is no {', '.join(unknown)}: there are {', '.join(known)}", USAGE)
    return {"format": style, "fields": names}


def show(answer: Any, format: str | None = None, fields: Iterable[str] = (),
         plain: Callable[[Any], None] | None = None, changed: bool = False, upright: bool = False) -> None:
    """Print JSON as a `table`, `json`, `jsonl`, `csv`, `tsv`, `value` (cells alone, for a shell's variables) or another
    tabulate style; `fields` picks the columns. Without either, `plain` prints it if given. A string stays as it is, null is
    an empty cell, all else its JSON. `jsonl`, `value`, and with `fields` `csv` and `tsv`, go out row by row. A single thing
    is `upright` on request. A field that no row has is an error: a usage error, unless something has `changed`."""
    try:
        if plain and not format and not fields:
            plain(list(answer) if isinstance(answer, Iterator) else answer)
        elif answer is not None or not changed:     # Galaxy answers some requests with an empty body
            _print_rows(answer, format, list(fields), changed, upright)
        if changed:
            sys.stdout.flush()
    except OSError as error:
        if not changed or isinstance(error, (GalaxyError, BrokenPipeError)):
            raise
        raise GalaxyError(f"it is done{_id_note(answer)}, but the answer can't be printed: {error.strerror}") from None


def _print_rows(answer: Any, style: str | None, fields: list[str], changed: bool, upright: bool) -> None:
    single = isinstance(answer, (dict, str)) or not isinstance(answer, Iterable)
    rows = _select_fields([answer] if single else answer, fields, changed)
    if single or changed:
        rows = iter(list(rows))     # an error in them comes before anything is printed
    if style == "json":
        print(json.dumps(next(rows) if single else list(rows), indent=2, ensure_ascii=False))
    elif style == "jsonl":
        for row in rows:
            print(json.dumps(row, ensure_ascii=False), flush=True)
    elif style == "value":
        for row in rows:
            values = row.values() if isinstance(row, dict) else [row]
            print(*(_line(_cell(value)) for value in values), sep="\t", flush=True)
    elif style in ("csv", "tsv"):
        if not fields:
            rows, fields = _columns(list(rows))
        import csv
        first = list(itertools.islice(rows, 1))     # an error in it comes before the heading
        writer = csv.writer(sys.stdout, delimiter="," if style == "csv" else "\t", lineterminator="\n")
        writer.writerow(fields)
        for row in itertools.chain(first, rows):
            writer.writerow([_line(_cell(row.get(name))) for name in fields])
            sys.stdout.flush()
    else:
        style, upright = "simple" if style in (None, "table") else style, upright and isinstance(answer, dict)
        if upright:
            rows, fields = iter([{"field": name, "value": value} for name, value in next(rows).items()]), []
        print(format_table(list(rows), fields, style, fits=sys.stdout.isatty() and not upright))


def print_request(method: str, url: str, data: Any, style: str | None = None) -> None:
    """Print a request that is not sent, for `--dry-run`, without the passwords in it."""
    payload = redact_all(data, "(?i)passw|secret|token|api_?key")
    show({"method": method, "url": redact(url), "payload": payload}, style or "json")


def _select_fields(rows: Iterable[Any], fields: list[str], changed: bool) -> Iterator[Any]:
    """Yield the rows with these `fields` only, or whole where none are named."""
    known: dict[str, None] = {}
    for row in rows:
        if not fields:
            yield row
            continue
        row = row if isinstance(row, dict) else {"value": row}
        known.update(dict.fromkeys(row))
        yield {name: row.get(name) for name in fields}
    unknown = [name for name in fields if name not in known]
    if known and unknown:
        problem = f"no field {', '.join(unknown)} in the answer: there are {', '.join(known)}"
        problem = f"it is done{_id_note(row)}, but there is {problem}" if changed else problem
        raise GalaxyError(problem, FAILED if changed or [*known] == ["value"] else USAGE)       # which is no object


def _id_note(answer: Any) -> str:
    return f" (id {answer['id']})" if isinstance(answer, dict) and "id" in answer else ""


def display_width(text: str) -> int:
    """Return how many columns of a terminal `text` takes: wide letters, as Chinese ones, take two, marks on others none."""
    return len(text) if text.isascii() else sum(1 + (east_asian_width(one) in "WF") - (combining(one) > 0) for one in text)


def _fit(text: str, width: int) -> str:
    """Return `text`, its end cut off where it takes more than `width` columns."""
    cut = (text[:end] + "…" for end in range(width - 1, -1, -1) if display_width(text[:end]) < width)
    return text if display_width(text) <= width else next(cut)


def format_table(content: list[Any], fields: Iterable[str] = (), style: str = "simple", fits: bool = False) -> str:
    """Return `content` as one of tabulate's tables; `fields` picks the columns. Cells are cut if it `fits` a terminal."""
    import tabulate
    tabulate.PRESERVE_WHITESPACE, tabulate.MIN_PADDING = True, 0 if fits else 2
    vars(tabulate).update(wcwidth=type("", (), {"wcswidth": staticmethod(display_width)}), WIDE_CHARS_MODE=True)
    rows, columns = _columns(content)
    columns = list(fields) or columns
    # A line end in the first column would make another row of it.
    cells = [[clean(_cell(row.get(name)), "\n" if name != columns[0] else "") for name in columns] for row in rows]
    if fits:
        widths = [max(map(display_width, column)) for column in zip(columns, *cells)]
        others = [number for number, name in enumerate(columns) if not re.fullmatch("(.*_)?id|ref", name)] or [0]
        while sum(widths) + 2 * len(widths) - 2 > shutil.get_terminal_size().columns and max(widths[n] for n in others) > 6:
            widths[max(others, key=widths.__getitem__)] -= 1
        cells = [list(map(_fit, row, widths)) for row in cells]
    return tabulate.tabulate(cells, columns, style, disable_numparse=True)


def _columns(content: list[Any]) -> tuple[Iterator[dict[str, Any]], list[str]]:
    """Return rows as dicts, and every key that occurs, in the server's order."""
    rows = [row if isinstance(row, dict) else {"value": row} for row in content]
    return iter(rows), list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(value: object) -> str:        # no more than one on a terminal
    return clean(str(value)) if getattr(sys.stdout, "isatty", bool)() else str(value)


def print_members(answer: Any) -> None:
    """Print the answer to a GET in the form that pipelines written for the old `display.py` read."""
    if isinstance(answer, list):
        print("Collection Members\n------------------")
        for number, member in enumerate(answer, 1):
            heading = [f"#{number}: {member['url']}"] if isinstance(member, dict) and "url" in member else []
            _print_lines(heading, member if isinstance(member, (dict, list)) else [f"  {member}"])
        print(f"\n{len(answer)} element(s) in collection")
    elif isinstance(answer, dict):
        _print_lines(["Member Information", "------------------"], [f"{name}: {value}" for name, value in answer.items()])
    else:
        print(answer if isinstance(answer, str) else json.dumps(answer))


def print_response(answer: Any) -> None:
    """Print the answer to a POST as the old `create.py` did: members one by one, anything else as it is."""
    if not isinstance(answer, list):
        return print_answer(answer)
    print("Response\n--------")
    for member in answer:
        _print_lines(*([member.get("url", "----")], member) if isinstance(member, dict) else ([], [member]))


def print_answer(answer: Any) -> None:
    """Print the answer to a PUT or DELETE as the old `update.py` and `delete.py` did."""
    print("Response\n--------", *([] if answer is None else [answer]), sep="\n")


def _print_lines(heading: list[Any], member: Any) -> None:
    """Print a heading and a list, or an object with its name first and without its url, each on a line of its own."""
    if isinstance(member, dict):
        member = [f"  {name}: {member[name]}" for name in {"name": 0, **member} if name in member and name != "url"]
    for line in [*heading, *member]:
        print(_line(line))
