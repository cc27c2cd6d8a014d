"""What the four verbs do beyond one request and its answer: loaded for the options that want it, after a refusal, and for an
answer that may say that nothing was done."""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, int_option
from galaxy_api_scripts.files import check_writable

# In addresses whose answer is a file, which may be an HTML page; elsewhere a page is the error of a proxy.
FILE_ADDRESSES = re.compile("display|file|download|exports|storage|stdout|stderr|report")


def prepare(args: dict[str, Any], method: str, data: Any = None, files: Iterable[str] = ()) -> Callable[[str, Any], None]:
    """Refuse options that don't go together and, with `--check`, a request that the server does not describe; with `--wait`,
    and before a GET, wait for what its address names. Returns what is to be called with the address and its answer: it
    raises an error for one that says that nothing was done, and waits for what one announces."""
    timeout = int_option(args, "--timeout")
    check_options(args, method, timeout)
    if args["--check"] or os.environ.get("GALAXY_CHECK") == "1":
        from galaxy_api_scripts.routes.check import check_request
        check_request(args["KEY"], args["URL"], method, data, files)
    if args.get("--wait") and method == "GET":
        from galaxy_api_scripts.routes.tasks import wait_for_address
        wait_for_address(waiting_galaxy(args, timeout), timeout)

    def on_answer(address: str, answer: Any) -> None:
        from galaxy_api_scripts.routes.answers import check_answer
        check_answer(method, address, data, answer)
        if args.get("--wait"):
            from galaxy_api_scripts.routes.tasks import hint_for_later, wait_for_answer
            with hint_for_later(answer):
                stored = wait_for_answer(waiting_galaxy(args, timeout), answer, timeout, needs_file=bool(args.get("--to")),
                                         purged=address if method == "DELETE" else "")
                if args.get("--to"):
                    save_answer(args, stored)
    return on_answer


def waiting_galaxy(args: dict[str, Any], timeout: int | None) -> Galaxy:
    """The server, which may be away for a while before what is waited for is done, but for no longer than the wait."""
    return Galaxy(args["KEY"], args["URL"], patience=UNATTENDED if timeout is None else min(timeout, UNATTENDED))


def check_options(args: dict[str, Any], method: str, timeout: int | None) -> None:
    """Raise a usage error for options that don't go together, and for a file that can't be written."""
    if timeout is not None and not args["--wait"]:
        raise GalaxyError("--timeout ends the wait of --wait: give both", USAGE)
    if not args.get("--to"):
        return
    if method != "GET" and not args["--wait"]:
        raise GalaxyError("--to takes the file that --wait waits for: give both", USAGE)
    if method == "GET" and any(map(args.get, ("--all", "--limit", "--format", "--fields"))):
        raise GalaxyError("--to takes one answer as it comes: leave out --all, --limit, --format and --fields", USAGE)
    if args["--to"] != "-":
        check_writable(args["--to"], args["--force"])


def explain_refusal(error: GalaxyError, *request: Any) -> None:
    """Add to Galaxy's refusal (400, 404) what is wrong with the request, where a description of the server is kept."""
    if error.status in (400, 404):
        from galaxy_api_scripts.routes import check
        check.explain_refusal(error, *request)


def object_pages(args: dict[str, Any], limit: int | None) -> Iterator[Any]:
    """Yield the members of the list in the object at URL, as `pages.object_pages`."""
    from galaxy_api_scripts.routes import pages
    return pages.object_pages(Galaxy(args["KEY"], args["URL"]), limit)


def save_answer(args: dict[str, Any], route: str = "") -> None:
    """Write what GET of `route`, by default of URL, answers to the file of `--to`, complete or not at all, and print its
    path; `-` is standard output."""
    from galaxy_api_scripts.datasets.http_download import ExpectedFile, download_file, write_to_stdout
    galaxy, to, overwrite = Galaxy(args["KEY"], args["URL"]), args["--to"], args["--force"]
    route = galaxy.url_for(route or galaxy.url)
    path = urlsplit(route).path
    expected = ExpectedFile(may_be_page="/api/" not in path or bool(FILE_ADDRESSES.search(path)), needs_length=True)
    if to == "-":
        write_to_stdout(galaxy, route, expected)
    else:
        download_file(galaxy, route, check_writable(to, overwrite), label=to, expected=expected, overwrite=overwrite)
        if not args.get("--format") and not args.get("--fields"):      # standard output holds the answer alone then
            print(to)
