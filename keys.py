"""Who asks, and whom: KEY and URL in every form that a command line takes, and addresses put together rightly."""
from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from outcome import USAGE, Refused, keep_secret


def credentials(key: str, url: str) -> tuple[str | None, str]:
    """The key to ask with (None: nobody's) and the whole address, from KEY and URL in any form a user may type.

    KEY: the key; `-`: $GALAXY_API_KEY, the file $GALAXY_API_KEY_FILE, or the entry of ~/.parsec.yml whose url fits;
    `@NAME`: that entry; `anonymous`. URL: an address; `-`: $GALAXY_URL, or the entry's url; `/path`: joined to that.
    A key that was found with one server's address never goes to another.
    """
    key, url = key.strip(), url.strip()
    if not key:
        raise Refused("the key is empty: is a variable unset? (to ask as nobody, give `anonymous`)", USAGE)
    if re.match("https?://", key):
        raise Refused("KEY and URL are the wrong way round", USAGE)
    home = os.environ.get("GALAXY_URL", "").strip()
    unnamed = url == "-" or url.startswith("/")
    found: str | None = None
    if key.startswith("@"):
        home, found = _entry(key[1:])
    elif key == "-":
        found = _environment_key()
        if not found:
            home, found = _fitting_entry(home if unnamed else url)
    if unnamed:
        if not home:
            raise Refused("no address to look up: set GALAXY_URL to the server's address, or give it", USAGE)
        url = join(home, url)
    url = address(url)
    if found and home and not _below(url, server(home)):
        raise Refused(f"the key that was looked up belongs to {server(home)}, not to {server(url)}: give that server's "
                      "own key", USAGE)
    if not found and key != "anonymous":
        found = key
    return (_usable(found) if found else None), url


def _environment_key() -> str:
    key = os.environ.get("GALAXY_API_KEY", "").strip()
    name = os.environ.get("GALAXY_API_KEY_FILE", "").strip()
    if key or not name:
        return key
    text = _private_text(Path(os.path.expanduser(name))).strip()
    if not text:
        raise Refused(f"{name} ($GALAXY_API_KEY_FILE) is empty: put your key on its first line", USAGE)
    return text.splitlines()[0].strip()


def _private_text(path: Path) -> str:
    text = _file_text(path)
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        raise Refused(f"{path} holds a key and others may read it: chmod 600 {path}", USAGE)
    return text


Entry = tuple[str, str]     # url, key


def _entries() -> tuple[dict[str, Entry], str]:
    """The entries of ~/.parsec.yml by their names, and the name of the default one."""
    path = Path.home() / ".parsec.yml"
    if not path.exists():
        raise Refused("there is no ~/.parsec.yml to look a key up in, and neither GALAXY_API_KEY nor "
                      "GALAXY_API_KEY_FILE is set", USAGE)
    text = _private_text(path)
    import yaml
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(error, "problem_mark", None)
        raise Refused(f"{path}: not YAML{f', line {line.line + 1}' if line else ''}", USAGE) from None
    if not isinstance(content, dict):
        raise Refused(f"{path}: holds no entries: `NAME: {{url: ..., key: ...}}` is wanted", USAGE)
    entries = {}
    for name, value in content.items():
        url, key = (value.get("url"), value.get("key")) if isinstance(value, dict) else (None, None)
        if isinstance(url, str) and url and key:
            keep_secret(str(key))
            entries[str(name)] = url, str(key)
    return entries, str(content.get("__default", ""))


def _entry(name: str) -> Entry:
    entries, _ = _entries()
    if name not in entries:
        there = ", ".join(entries) or "none"
        raise Refused(f"~/.parsec.yml has no entry {name!r} with a url and a key: it has {there}", USAGE)
    return entries[name]


def _fitting_entry(url: str) -> Entry:
    """The one entry for the server of `url`; the default entry where `url` is empty or several fit."""
    entries, default = _entries()
    fitting = {name: entry for name, entry in entries.items() if not url or _is_for(entry, url)}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    if default in fitting:
        return fitting[default]
    which = f"no entry for {url or 'any server'}"
    if fitting:
        which = f"several entries for {url}" if url else "several entries and no __default"
    there = ", ".join(entries) or "none"
    raise Refused(f"~/.parsec.yml has {which}: set GALAXY_API_KEY, or give @NAME (there are: {there})", USAGE)


def _is_for(entry: Entry, url: str) -> bool:
    try:
        base = server(entry[0])
    except Refused:     # another entry's mistake is no reason to fail
        return False
    return _below(address(url), base)


def _usable(key: str) -> str:
    keep_secret(key)
    if not re.fullmatch(r"[!-~]+", key):
        raise Refused("the key has characters in it that no key has: spaces, or others than ASCII", USAGE)
    return key


# Stricter than urlsplit, which reads http://a\@b as an address on b where the connection would be made to a.
AUTHORITY = re.compile(r"https?://([^\s/?#\\@]*@)?(\[[0-9a-f:.]+\]|[^\s/?#\\@:\[\]]+)(:\d+)?(?=[/?#]|$)", re.IGNORECASE)


def address(url: str) -> str:
    """`url` with single slashes in its path; a usage error where it is no http address."""
    url = url.strip()
    if not is_address(url):
        raise Refused(f"{_shown(url)} is not the address of a server", USAGE)
    parts = urlsplit(url)
    return parts._replace(path=re.sub("/{2,}", "/", parts.path), fragment="").geturl()


def with_scheme(url: str) -> str:
    """`url` with http:// before it where it names a host without a scheme, as some of the old scripts took it."""
    return url if "://" in url or url.startswith(("-", "/")) else f"http://{url}"


def is_address(url: str) -> bool:
    """Whether `url` is one of http or https that everybody reads in the same way."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")       # no label empty or too long
        return bool(AUTHORITY.match(url) and parts.hostname and (parts.port is None or parts.port > 0)
                    and ".." not in unquote(parts.path).split("/"))
    except ValueError:
        return False


def _shown(url: str) -> str:
    """What is no address, for a message: it may be a key in the wrong place, or hold a password."""
    if re.fullmatch("[a-z_]{1,20}", url):
        return f"{url!r} (did you mean /api/{url}?)"
    if not re.search("[.:/]", url) or re.search(r"[\s\\@]", url):
        return "URL"
    return repr(url) if "://" in url else f"{url!r} (did you mean http://{url}?)"


def server(url: str) -> str:
    """The server's own address in `url`: what stands before `/api`, without a slash at its end."""
    parts = urlsplit(address(url))
    path = re.split(r"/api(?=/|$)", parts.path, maxsplit=1)[0].rstrip("/")
    return parts._replace(path=path, query="").geturl()


def join(base: str, path: str) -> str:
    """The address of `path` (`/api/...`, or `-` for nothing more) on the server of `base`.

    Galaxy behind a prefix puts the prefix into the paths that it answers with: it is not put there twice.
    """
    base = server(base)
    prefix = urlsplit(base).path
    if path == "-":
        return base
    return base + (path[len(prefix):] if prefix and path.startswith(prefix + "/") else path)


def origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _below(url: str, base: str) -> bool:
    """Whether `url` is an address of the server `base`: same scheme, host and port, and under its path."""
    return origin(url) == origin(base) and f"{urlsplit(url).path}/".startswith(f"{urlsplit(base).path}/")


def without_key(url: str) -> tuple[str, str]:
    """`url` without a `key=` parameter that somebody typed into it, and that key."""
    start, question, query = url.partition("?")
    if not question:
        return url, ""
    parts = query.split("&")
    keys = [unquote(part[4:]) for part in parts if part.startswith("key=")]
    rest = "&".join(part for part in parts if not part.startswith("key="))
    return start + ("?" + rest if rest else ""), keys[0] if keys else ""


def read_text(name: str) -> str:
    """The text of the file `name`, of standard input for `-`; a usage error where it can't be read."""
    if name != "-":
        return _file_text(Path(name))
    if sys.stdin is None:
        raise Refused("standard input is closed", USAGE)
    return decoded(sys.stdin.buffer.read(), "standard input")


def _file_text(path: Path) -> str:
    try:
        return decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", USAGE) from None


def decoded(content: bytes, where: str) -> str:
    """The text in `content`, which messages call `where`; a usage error where it is none."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"{where}: not a text in UTF-8", USAGE) from None
