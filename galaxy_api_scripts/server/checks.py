"""What a server and a key can do, a row for each subject: what was found, and what to mend."""
from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from common import Galaxy, GalaxyError, origin, redact, shorten
from galaxy_api_scripts import releases
from galaxy_api_scripts.ages import format_age
from galaxy_api_scripts.datasets.tus import ROUTE, VERSION_HEADER
from galaxy_api_scripts.job_queue.selection import WAITING_STATES
from galaxy_api_scripts.job_queue.times import fetch_server_time, parse_time, seconds_since
from galaxy_api_scripts.server import address
from galaxy_api_scripts.server.trial_job import TrialHistory
from galaxy_api_scripts.server.trial_upload import try_upload

OK, WARNING, FAILURE = "ok", "warning", "failure"
OLDEST = (24, 1)                # release that is served
SKEW, CERTIFICATE_DAYS = 60, 21     # seconds, days: to warn of more, of less
QUOTA_WARNING, QUOTA_FULL = 90, 100     # percent
IDLE = 3600                     # seconds in which a job should end while others wait
JOB_TIMEOUT = 300
OWN_SERVERS = ("uvicorn", "gunicorn")   # Galaxy's own web server
PAGE = "docs/proxy.md"


@dataclass
class Row:
    """What is to say about a subject."""
    status: str
    found: str
    mend: str = ""


@dataclass
class Server:
    """What is known of the server by now."""
    galaxy: Galaxy
    upload: bool = False
    run_job: bool = False
    response: requests.Response | None = None       # to GET /api/version
    version: str = ""
    asked: float = 0.0
    user: dict[str, Any] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        return bool(self.user.get("is_admin"))


def check_server(galaxy: Galaxy, upload: bool, run_job: bool, errors: list[GalaxyError]) -> Iterator[dict[str, str]]:
    """Yield a row (`check`, `status`, `found`, `mend`) for each subject, up to a failure of one that the others need.
    `errors` gets an error for each failure. Only GETs and HEADs are sent, but for what `upload` and `run_job` ask for."""
    server = Server(galaxy, upload, run_job)
    for name, check in CHECKS.items():
        try:
            row = check(server)
        except GalaxyError as error:
            row = Row(FAILURE, str(error))
            errors.append(GalaxyError(f"{name}: {error}", error.exit_code))
        else:
            if row.status == FAILURE:
                errors.append(GalaxyError(f"{name}: {row.found}; {row.mend}"))
        yield {"check": name, "status": row.status, "found": redact(row.found), "mend": redact(row.mend)}
        if row.status == FAILURE and name in NEEDED:
            return


# ----------------------------------------------------------------------------------------------------- how it is reached

def check_address(server: Server) -> Row:
    galaxy = server.galaxy
    try:
        server.asked = time.time()
        server.response = galaxy.request("GET", "version")
        with contextlib.suppress(ValueError, RecursionError):
            server.version = releases.join_version(server.response.json())
        if server.version:
            return Row(OK, f"a Galaxy answers at {galaxy.base}")
        raise GalaxyError(f"{galaxy.base} answers, and is no Galaxy", status=200)
    except GalaxyError as error:
        meant = address.find_meant(galaxy.base, error.status is not None)
        if not meant:
            raise
        return Row(FAILURE, f"no Galaxy at {galaxy.base}: {error}", f"give {meant} as URL: a Galaxy answers there")


def check_key(server: Server) -> Row:
    if server.galaxy.key is None:
        return Row(FAILURE, "no key", "give your key: a server does next to nothing for nobody")
    server.user = server.galaxy.current_user()
    role = "an administrator" if server.is_admin else "no administrator"
    return Row(OK, f"{server.user['email']}, {role}")


def check_tls(server: Server) -> Row:
    base = server.galaxy.base
    if base.startswith("http:"):
        if address.is_local(base):
            return Row(OK, "http, on this machine")
        return Row(WARNING, "http: whoever is on the way reads the key and the data", "use https, and let http lead there")
    if os.environ.get("GALAXY_INSECURE") == "1":
        return Row(WARNING, "the certificate is not checked",
                   "unset GALAXY_INSECURE, set REQUESTS_CA_BUNDLE to your authority's file")
    if address.proxy_of_environment(base):
        return Row(OK, "https through this machine's proxy, verified")
    try:
        certificate = address.fetch_certificate(base)
    except OSError as error:
        raise GalaxyError(f"the certificate can't be looked at: {error}") from None
    days = address.days_left(certificate)
    found = f"{certificate['version']}, a certificate that is valid for {days} days"
    return Row(OK, found) if days >= CERTIFICATE_DAYS else Row(WARNING, found, "renew it")


def check_clock(server: Server) -> Row:
    skew = address.clock_skew(server.response, server.asked) if server.response is not None else None
    if skew is None:
        return Row(OK, "the server does not tell its time")
    if abs(skew) < SKEW:
        return Row(OK, "as ours")
    found = f"the server's clock is {format_age(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours"
    return Row(WARNING, found, "set the one that is wrong, best by NTP: ages of jobs and `--since` are by the clock")


def check_version(server: Server) -> Row:
    release, version = releases.parse_release(server.version), server.version
    if not release:
        return Row(WARNING, "the server tells no release", "what it lacks shows only when it is asked for")
    if release < OLDEST:
        return Row(FAILURE, f"Galaxy {version}", f"these scripts are for Galaxy {releases.describe(OLDEST)} and later")
    lacking = [feature for feature, since in releases.SINCE.items() if release < since]
    if lacking:
        return Row(WARNING, f"Galaxy {version} lacks {', '.join(lacking)}", "docs/releases.md has what the scripts do there")
    return Row(OK, f"Galaxy {version}")


def check_proxy(server: Server) -> Row:
    """By the names in headers, by an id with a slash in it, and by the address that Galaxy takes for its own."""
    galaxy, headers = server.galaxy, server.response.headers if server.response is not None else {}
    names = [headers.get(name, "") for name in ("Server", "Via") if headers.get(name)]
    names = [name for name in names if not name.lower().startswith(OWN_SERVERS)]
    found = f"{', '.join(shorten(name, 60) for name in names)} before Galaxy" if names else "none that tells its name"
    try:
        galaxy.request("GET", "tools/shed%2Frepos%2Fno%2Fsuch")
    except GalaxyError as error:
        if error.status == 404 and "err_msg" not in (error.body or ""):
            return Row(WARNING, f"{found}; it does not pass on ids with a slash, as tools of the Tool Shed have",
                       f"Apache: nocanon and AllowEncodedSlashes NoDecode ({PAGE})")
        if error.status == 404 and "'shed%2F" in (error.err_msg or ""):
            return Row(WARNING, f"{found}; it encodes the % of an id once more", f"Apache: nocanon ({PAGE})")
        if error.status not in (400, 404, 500):
            raise
    # A proxy may ask for a password of its own there: it is no address of the API.
    own = galaxy.get_or_none("/ga4gh/drs/v1/service-info", absent=(400, 401, 403, 404)) or {}
    url = str((own.get("organization") or {}).get("url") or "")
    if url and origin(url) != origin(galaxy.base):
        return Row(WARNING, f"{found}; Galaxy takes itself for {shorten(url, 100)}",
                   f"pass on Host and X-Forwarded-Proto, or addresses that Galaxy makes lead astray ({PAGE})")
    return Row(OK, f"{found}; time-outs can't be told from here: {PAGE}" if names else found)


# ------------------------------------------------------------------------------------------------------ what it is set to

def check_upload(server: Server) -> Row:
    server.configuration = server.galaxy.get("configuration")
    try:
        server.galaxy.request("HEAD", f"{ROUTE}{'0' * 32}", headers=VERSION_HEADER)
    except GalaxyError as error:
        headers = {name.lower(): value for name, value in error.http_headers.items()}
        if error.status == 404 and "json" not in headers.get("content-type", "") and "tus-resumable" not in headers:
            return Row(FAILURE, "no resumable uploads",
                       "let the proxy pass on /api/upload/, with HEAD, POST, PATCH and DELETE")
        if error.status not in (400, 404, 410):
            raise
    if not server.upload:
        return Row(OK, "resumable uploads; --upload tries one")
    size = min(int(server.configuration.get("chunk_upload_size") or 10 * 2**20), 64 * 2**20)
    passed, problems, mends = try_upload(server.galaxy, size), [], []
    if passed < size:
        problems.append(f"none of {size / 2**20:.3g} MiB, as browsers send")
        mends.append("client_max_body_size 0")
    is_nginx = server.response is not None and re.search("(?i)nginx|openresty", server.response.headers.get("Server", ""))
    if is_nginx and address.collects_bodies(server.galaxy.base, f"/api/{ROUTE}{'0' * 32}"):
        problems.append("a proxy collects each before Galaxy sees a byte, and loses it in a cut")
        mends.append("proxy_request_buffering off")
    found = "; ".join([f"resumable uploads, pieces of {passed / 2**20:.3g} MiB pass", *problems])
    return Row(WARNING, found, f"nginx: {', '.join(mends)} ({PAGE})") if problems else Row(OK, found)


def check_celery(server: Server) -> Row:
    if server.configuration["enable_celery_tasks"]:
        return Row(OK, "on: hashes on request, exports, purges in the background")
    return Row(WARNING, "off: no hashes on request, no exports, jobs take some 10 s longer",
               "enable_celery_tasks: true in galaxy.yml, and a worker")


def check_imports(server: Server) -> Row:
    about = server.configuration
    if not server.is_admin:
        own = "a" if about.get("user_library_import_dir_available") else "no"
        return Row(OK, f"{own} folder of your own to import from; the rest is told to administrators only")
    paste = "allowed" if about.get("allow_library_path_paste") else "not allowed"
    folder = about.get("library_import_dir")
    return Row(OK, f"paths on the server {paste} (allow_path_paste); import directory {shorten(str(folder or 'none'), 100)}")


def check_quota(server: Server) -> Row:
    used, percent = server.user.get("total_disk_usage"), server.user.get("quota_percent")
    found = f"{(used or 0) / 2**30:.3g} GiB used of {server.user.get('quota') or 'what is there'}"
    if not server.configuration.get("enable_quotas"):
        return Row(OK, f"{(used or 0) / 2**30:.3g} GiB used; quotas are off")
    if percent is None or percent < QUOTA_WARNING:
        return Row(OK, found)
    if percent < QUOTA_FULL:
        return Row(WARNING, f"{found}, {percent} %", "purge what is deleted: jobs wait once the quota is used up")
    return Row(FAILURE, f"{found}, {percent} %: jobs wait", "purge what is deleted, or ask for more")


def check_tools(server: Server) -> Row:
    if not server.is_admin:
        return Row(OK, "errors of tools are told to administrators only")
    errors = server.galaxy.get("tools/error_stack")
    if not isinstance(errors, list):
        raise GalaxyError("the answer of GET /api/tools/error_stack is not a list")
    if not errors:
        return Row(OK, "no tool failed to load")
    first = errors[0] if isinstance(errors[0], dict) else {}
    return Row(WARNING, f"{len(errors)} failed to load or to run, lately: {shorten(str(first.get('file') or first), 100)}: "
               f"{shorten(str(first.get('error') or ''), 100)}", "mend or remove them; Galaxy's log has all of it")


def check_jobs(server: Server) -> Row:
    if server.run_job:
        began = time.monotonic()
        with TrialHistory(server.galaxy) as trial:
            trial.run_job(JOB_TIMEOUT)
        return Row(OK, f"one ended well in {time.monotonic() - began:.0f} s")
    now, view = fetch_server_time(server.galaxy), {"view": "admin_job_list"} if server.is_admin else {}
    waiting = server.galaxy.get("jobs", {**view, "state": list(WAITING_STATES), "limit": 100})
    ended = server.galaxy.get("jobs", {**view, "state": "ok", "limit": 1})
    if not isinstance(waiting, list) or not isinstance(ended, list):
        raise GalaxyError("the answer of GET /api/jobs is not a list")
    idle = seconds_since(parse_time(ended[0]["update_time"]), now) if ended else None
    whose = "" if server.is_admin else " of yours"
    number = f"{len(waiting)}{' or more' if len(waiting) == 100 else ''} wait"
    last = f"the last{whose} ended well {format_age(idle)} ago" if ended else f"none{whose} has ended well"
    found = f"{last}, {number}"
    if waiting and (idle is None or idle > IDLE):
        return Row(WARNING, found, "see whether the handlers and the cluster run; --run-job tries one")
    return Row(OK, f"{found}; --run-job tries one")


CHECKS: dict[str, Callable[[Server], Row]] = {
    "address": check_address, "key": check_key, "TLS": check_tls, "clock": check_clock, "version": check_version,
    "proxy": check_proxy, "upload": check_upload, "Celery": check_celery, "imports": check_imports, "quota": check_quota,
    "tools": check_tools, "jobs": check_jobs}
NEEDED = ("address", "key", "upload")       # the last asks for the configuration, too
