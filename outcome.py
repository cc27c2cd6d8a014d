"""How a script ends: exit codes, the one exception, one line on standard error, and no key in any of it."""
from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from urllib.parse import quote

DONE = 0
REFUSED = 1         # Galaxy refused, or the job failed
USAGE = 2           # a bad command line
PARTLY = 3          # some of many failed
STILL_RUNNING = 4   # the time was up first
TRY_LATER = 75      # the server can't be reached, or another run holds the lock (EX_TEMPFAIL of sysexits.h)
INTERRUPTED = 130


class Refused(Exception):
    """Something was refused; `str()` of it is one line that is fit to show: no key in it, and what to try.

    `exit_code` is the script's exit status. Where Galaxy answered: `status` (HTTP), `body` (text) and `err_msg`
    (Galaxy's own words). `lost` says that a POST went out and its answer never came: the server may have acted, so
    look before you send it again. `table` is what there is to choose from, for people, below that line.
    """

    def __init__(self, text: str, exit_code: int = REFUSED, *, status: int | None = None, body: str | None = None,
                 err_msg: str | None = None, lost: bool = False, table: str = ""):
        super().__init__(one_line(redact(text)))
        self.exit_code, self.status, self.body, self.err_msg, self.lost = exit_code, status, body, err_msg, lost
        self.table = table


def run(main: Callable[[], int | None]) -> int:
    """Call `main()` and return its exit status; what it raises becomes one line on standard error, above its table.

    With $GALAXY_DEBUG set the traceback comes too, redacted.
    """
    _prepare()
    _at_end.clear()
    try:
        status = main() or DONE
        sys.stdout.flush()
        if _at_end:
            _end(status, getattr(main, "__module__", "") == "__main__")
        return status
    except BrokenPipeError:     # `display.py ... | head` has seen enough
        _drop_output()
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and getattr(main, "__module__", "") == "__main__":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = complain(*_last_words(error))
        if isinstance(error, Refused) and error.table:
            say(error.table)
    try:
        sys.stdout.flush()
    except OSError:             # it is standard output that is full
        _drop_output()
    return status


_at_end: list[Callable[[], object]] = []


def at_end(act: Callable[[], object]) -> None:
    """Let `act()` be the last that this process does where it succeeds, when its output is written: whoever kills it before
    sees a run that has not ended."""
    _at_end.append(act)


def _end(status: int, whole: bool) -> None:
    for act in _at_end:
        act()
    if whole:       # Python's own end takes 20 ms, within which it might still be killed
        os._exit(status)


def _prepare() -> None:
    """Streams that take any text, and signals that let `finally` tidy up."""
    if sys.stdout is None:      # closed by the caller
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:      # print would take standard output in its place
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")   # a cron job's locale may know no more than ASCII
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, _stopped)


def _stopped(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)       # `timeout` sends it to the process and to its group
    sys.exit(128 + number)


def _last_words(error: BaseException) -> tuple[str, int]:
    """What to say about an error, and the exit status."""
    if isinstance(error, Refused):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, OSError):
        return (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error)), REFUSED
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is not installed: pip install -e . where README.md is", REFUSED
    hint = "" if os.environ.get("GALAXY_DEBUG") else "; GALAXY_DEBUG=1 shows where"
    return f"unforeseen, in the script or in Galaxy's answer: {type(error).__name__}: {error}{hint}", REFUSED


def _drop_output() -> None:
    """Let what is still to be written go nowhere, or Python would try again at its end and complain by itself."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str, exit_code: int = REFUSED) -> int:
    """Say one line on standard error, with the traceback of what is being handled if $GALAXY_DEBUG is set."""
    if os.environ.get("GALAXY_DEBUG") and sys.exc_info()[0]:
        import traceback
        say(traceback.format_exc())
    say(f"{script_name()}: {one_line(redact(text))}")
    return exit_code


def say(text: str) -> None:
    """Print on standard error, redacted; where its disk is full that changes nothing."""
    with contextlib.suppress(OSError):
        print(redact(text), file=sys.stderr, flush=True)


def script_name() -> str:
    """The name of the running script, such as `display.py`."""
    return os.path.basename(sys.argv[0] or "") or "python"


_secrets: set[str] = set()     # every key and password that this process has come across


def keep_secret(secret: str | None) -> None:
    """Let no message show `secret` from now on."""
    if secret and len(secret) > 5:      # what is shorter is no key, and would blot out half of a message
        _secrets.update((secret, quote(secret, safe="")))


def redact(text: str) -> str:
    """`text` without keys and passwords: those met so far, `key=` in any URL, `user:password@` before any host."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = re.sub(r"([?&](?:api_)?key=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)
    return re.sub(r"(https?://)[^/\s]*@", r"\1", text, flags=re.IGNORECASE)


def one_line(text: str) -> str:
    """`text` on one line, without the control characters that a terminal would obey."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.sub(r"\s+", " ", text)).strip()


def short(text: str, most: int = 200) -> str:
    """The beginning of `text` on one line; redacted first, since half a key is a secret too."""
    return one_line(redact(text))[:most]
