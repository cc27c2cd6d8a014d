#!/usr/bin/env python3
"""Run every script against the fake Galaxy in each way in which a server can be wrong, and print what went wrong in ours.

Usage:
  sweep.py [options]

Options:
  --script=NAMES  only these scripts, separated by commas; a path in place of a name, of a script of another folder
  --mode=WORDS    only the modes whose name begins so, separated by commas
  --place=NAMES   only these, of every, writes, once  [default: every,writes,once]
  --seeds=N       how many mutations of each script's answers  [default: 12]
  --seed=N        where chance begins  [default: 1]
  --one-in=N      only one run in N, chosen by chance  [default: 1]
  --part=K        which of these N parts, of which all are the whole: 0 to N-1  [default: 0]
  --workers=N     how many at once  [default: 2]
  --list          list the modes
  -v, --verbose   print each run
  -h, --help      show this help
  --version       show the version

A mode (tests/fakes/modes.py) is in place `every` how each request is answered, in `writes` each that may change something,
in `once` one of them, chosen by chance. The jobs are those of tests/fakes/whole_jobs.py. Whether a job is done is read from
what the fake holds and from the files; for a script that only reads, from its output, which must be what it is where nothing
is wrong. In the mode `output full` nothing can be printed, and who prints can't say that all is done. It exits with 1 unless
all figures are 0.
"""
import contextlib
import importlib
import json
import multiprocessing
import os
import random
import re
import resource
import runpy
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts"), str(ROOT / "tests")]

from fakes import KEY  # noqa: E402
from fakes.modes import MODES, mutated  # noqa: E402
from fakes.server import LoopbackServer  # noqa: E402
from fakes.whole_jobs import JOBS, fake_of  # noqa: E402

from common import USAGE, GalaxyError, arguments, int_option, run, show  # noqa: E402

PATIENCE = 45           # seconds after which a run hangs; what a lost answer was about is looked for for 30
MEMORY = 2**31          # bytes that a run may address
LARGEST = 2**26         # of a file
# Limits of ours that are smaller here: seconds to wait for what may still come, pages of a list.
SMALLER = {"SETTLE_SECONDS": 1, "SCHEDULING_PATIENCE": 1, "STALL_SECONDS": 1, "FREEZE_SECONDS": 1, "INSTALL_TIMEOUT": 2,
           "ANSWER_TIMEOUT": 1, "LOAD_SECONDS": 1, "NEW_SECONDS": 1, "TABLE_SECONDS": 1, "MOST_PAGES": 50}
SETTINGS = {"GALAXY_TIMEOUT": "1", "GALAXY_RETRY_MAX": "0.4", "PATH": os.defpath, "LANG": "C.UTF-8"}
SECRETS = (KEY, "secret", "bWVAZXhhbXBsZS5vcmc6c2VjcmV0")      # the password that key_show.py is given, also as it is sent
# Plug-ins for monitoring: any status but 0 says on standard output that they could not look.
PLUGINS = ("queue_check.py",)
FULL = "output full"        # a mode that is not the server's: nothing can be printed
EVIL = Path("/tmp/galaxy-sweep-evil")
FIGURES = ("traceback", "hang", "unforeseen", "status 0 without the job done", "key or password shown",
           "key sent elsewhere", "file outside the folder", "failure without a word", "cut that is not 75",
           "bad command line (2) for a server's fault")


# ---------------------------------------------------------------------------------------------------------- one process

class Zygote:
    """A process that has loaded all modules and nothing else; each script runs in a fork of it, as in a new Python."""

    def __init__(self):
        ours, its = multiprocessing.Pipe()
        if os.fork() == 0:
            ours.close()
            load_modules()
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                while True:
                    its.send(self._run(*its.recv()))
            os._exit(0)
        its.close()
        self.pipe = ours

    def run(self, *line):
        self.pipe.send(line)
        return self.pipe.recv()

    def _run(self, script, words, folder, environment, box):
        """Return the exit status (None for a run that hangs) and the most memory, in bytes."""
        child = os.fork()
        if child == 0:
            self._become(script, words, folder, environment, box)
        watched = os.pidfd_open(child)
        ended = select.select([watched], [], [], PATIENCE)[0]
        os.close(watched)
        if not ended:
            os.killpg(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)        # what it left behind
        return os.waitstatus_to_exitcode(status) if ended else None, usage.ru_maxrss * 1024

    def _become(self, script, words, folder, environment, box):
        code = 70
        try:
            os.setsid()
            for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, LARGEST), (resource.RLIMIT_CORE, 0)):
                resource.setrlimit(what, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            os.chdir(folder)
            for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                                                    ("err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))):
                os.dup2(os.open(f"{box}/std{name}", flags, 0o600), number)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv, sys.path[0] = [script, *words], os.path.dirname(script)
            sys.stdin, sys.stdout, sys.stderr = (
                open(number, mode, encoding="utf-8", errors=errors, buffering=lines) for number, mode, errors, lines in (  # noqa: SIM115
                    (0, "r", "strict", -1), (1, "w", "strict", -1), (2, "w", "backslashreplace", 1)))
            random.seed()
            code = execute(script)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            os._exit(code)


def execute(script):
    """Run a script as Python does, and return its exit status."""
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    try:
        sys.stdout.flush()
    except OSError:
        return 120
    return code & 0xff


def load_modules():
    import docopt  # noqa: F401
    import jinja2  # noqa: F401
    import requests  # noqa: F401
    import tabulate  # noqa: F401
    import tqdm  # noqa: F401
    import yaml  # noqa: F401
    for path in (ROOT / "galaxy_api_scripts").rglob("*.py"):
        if "settings" not in path.parts and path.stem != "__main__":
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for module in [module for name, module in sys.modules.items() if name.startswith(("common", "galaxy_api_scripts"))]:
        for name in set(SMALLER) & set(vars(module)):
            setattr(module, name, SMALLER[name])


# -------------------------------------------------------------------------------------------------------------- one run

class Unjudged(str):
    """What a script printed, where only what was done is judged: it is whatever it is compared with."""

    def __eq__(self, other):
        return True

    def __contains__(self, part):
        return True

    def startswith(self, *parts):
        return True

    __hash__ = str.__hash__


class SaidSo(Exception):
    """The script ended with a status that says that it did not do its job."""


class Run:
    """A script's job on a fake Galaxy of its own, in a folder of its own."""

    def __init__(self, zygote, script, box, elsewhere):
        self.zygote, self.script, self.box = zygote, script, Path(box)
        self.work, self.home = self.box / "a" / "b" / "c" / "work", self.box / "home"
        for folder in (self.work, self.home, self.box / "tmp"):
            folder.mkdir(parents=True)
        self.statuses, self.out, self.err, self.memory = [], [], [], 0
        self.given = None
        self.galaxy = fake_of(self.script.name)(polls=0)
        self.galaxy.elsewhere, self.galaxy.first_pages = elsewhere, {}

    def __call__(self, *words, status=0, err="", stdin=""):
        self.given = self.files() if self.given is None else self.given
        (self.box / "stdin").write_text(stdin)
        environment = {**SETTINGS, "HOME": str(self.home), "TMPDIR": str(self.box / "tmp")}
        ended, memory = self.zygote.run(str(self.script), list(map(str, words)), str(self.work), environment, str(self.box))
        self.statuses.append(ended)
        self.memory = max(self.memory, memory)
        for kept, name in ((self.out, "stdout"), (self.err, "stderr")):
            is_file = not (self.box / name).is_symlink()        # to /dev/full
            kept.append((self.box / name).read_bytes().decode("utf-8", "backslashreplace") if is_file else "")
        if ended != status:
            raise SaidSo
        return Unjudged(self.out[-1])

    def do(self, fault=None, place="every", number=0):
        """Do the job; True where it is done, None where the script says that it is not."""
        if fault:
            self.galaxy.will(placed(fault, place, number))
        try:
            JOBS[self.script.name](self.galaxy, self)
            return True
        except SaidSo:
            return None
        except (AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            self.reason = f"{type(error).__name__}: {error}"
            return False
        finally:
            self.galaxy.close()

    @property
    def printed(self):
        return [text.replace(self.galaxy.url, "URL") for text in self.out]

    def files(self):
        """The files that are there, but for those of the box."""
        return {path for path in self.box.rglob("*") if not path.is_dir() and path.parent != self.box}


def placed(fault, place, number):
    """The fault, for the requests that it is meant for."""
    def answer(handler):
        is_write = handler.command not in ("GET", "HEAD")
        is_meant = {"every": True, "writes": is_write, "once": len(handler.galaxy.asked) == number + 1}[place]
        (fault if is_meant else type(handler).serve)(handler)
    return answer


class Sweep:
    def __init__(self):
        self.zygote, self.usual = Zygote(), {}
        self.elsewhere = LoopbackServer()
        self.elsewhere.will((200, {}))
        self.folder = Path(tempfile.mkdtemp(prefix="galaxy-sweep-"))

    def close(self):
        self.elsewhere.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def a_run(self, script):
        box = self.folder / "box"
        try:
            yield Run(self.zygote, script, box, self.elsewhere)
        finally:
            shutil.rmtree(box, ignore_errors=True)

    def healthy(self, script):
        """What a script's job is where nothing is wrong: what it prints, how many requests, and the names it writes."""
        if script not in self.usual:
            with self.a_run(script) as run:
                assert run.do() is True, (script.name, run.statuses, run.out, run.err)
                tops = {path.relative_to(run.work).parts[0] for path in run.files() if run.work in path.parents}
                self.usual[script] = run.printed, len(run.galaxy.asked), run.galaxy.writes(), tops
        return self.usual[script]

    def look(self, script, mode, place, seed):
        """Do a job in a mode, and return what there is to say about it."""
        printed, requests, writes, tops = self.healthy(script)
        fault = mutated(seed) if mode == "mutated" else MODES.get(mode)
        number = random.Random(f"{seed} {script.name} {mode}").randrange(requests) if requests else 0
        with self.a_run(script) as run:
            self.elsewhere.asked.clear()
            began = time.monotonic()
            if mode == FULL:
                (run.box / "stdout").symlink_to("/dev/full")
            done = run.do(fault, place, number)
            only_reads = not writes and not tops
            if done and any(printed) and mode == FULL or done and only_reads and run.printed != printed:
                done, run.reason = False, "another output"
            believed = done is False and is_believed(script.name, mode, only_reads)
            done = True if believed else done
            found = dict(self.judge(run, done, tops, mode.startswith("cut") and place != "once"))
            return {"script": script.name, "mode": mode, "place": place, "seed": seed, "statuses": run.statuses,
                    "believed": believed, "found": found, "err": "\n".join(run.err), "out": "\n".join(run.out)[-600:],
                    "seconds": time.monotonic() - began, "memory": run.memory, "asked": run.galaxy.lines}

    def judge(self, run, done, tops, is_cut):
        """Yield (figure, what about it)."""
        texts = [*run.out, *run.err]
        if any("Traceback (most recent call last)" in text for text in texts):
            yield "traceback", next(text for text in texts if "Traceback" in text)
        if None in run.statuses:
            yield "hang", ""
        if any("unforeseen" in text for text in texts):
            yield "unforeseen", run.err[-1]
        if done is False:
            yield "status 0 without the job done", run.reason
        status, complaint = run.statuses[-1] if run.statuses else 0, run.err[-1] if run.err else ""
        is_plugin = run.script.name in PLUGINS
        if status not in (0, 4) and not (complaint + is_plugin * run.out[-1]).strip():      # 4: it runs still
            yield "failure without a word", str(status)
        if is_cut and status not in (0, 75, None) and not is_plugin:
            yield "cut that is not 75", str(status)
        if status == 2 and "no field" not in complaint and not is_plugin:
            yield "bad command line (2) for a server's fault", ""
        files = run.files()
        kept = [*texts, *(path.read_bytes().decode("latin-1") for path in files if path.is_file())]
        if any(secret in text for secret in SECRETS for text in kept):
            yield "key or password shown", ""
        outside = {path for path in files if not is_inside(path, run, tops)} | ({EVIL} if EVIL.exists() else set())
        if outside:
            yield "file outside the folder", ", ".join(map(str, outside))
        if any(KEY in str(asked.headers) + asked.path for asked in self.elsewhere.asked):
            yield "key sent elsewhere", ""


def is_inside(path, run, tops):
    """Whether a file lies where the script may write: what it was told, and the state folder."""
    if path in (run.given or ()):
        return True
    if run.work in path.parents:
        if path.parent == run.work and path.suffix == ".part":      # kept beside its file, to be resumed
            return True
        return path.relative_to(run.work).parts[0].strip(".~").startswith(tuple(tops)) or not tops
    return run.home / ".local" / "state" / "galaxy-api-scripts" in path.parents or run.box / "tmp" in path.parents


NOTHING = ("json null", "garbage empty", "garbage blanks", "garbage 204")
NO_JSON = ("json NaN", "json Infinity", "json deep")


def is_believed(script, mode, only_reads):
    """Whether such an answer is what this request gets where it is served, so that no script can know better: a verb, whose
    address may be any, takes any JSON; nothing is what Galaxy says to the deletion of a workflow; a list may be empty, and a
    thing be called anything; the name of what a key may not see is left blank."""
    if mode in ("mutated", "endless pages", "endless same page"):
        return only_reads or script in ("history_expire.py", "dataset_purge.py")     # what a list says is deleted, or old
    is_json = mode.startswith("json ") and mode not in NO_JSON
    return (script == "display.py" and (is_json or mode == "garbage headers")
            or script in ("update.py", "delete.py") and (is_json or mode in NOTHING)
            or script == "workflow_delete.py" and mode in NOTHING
            or script == "job_cancel.py" and mode == "json []"
            or script == "invocation_show.py" and mode.startswith("status 40")
            or mode in ("json []", "json paths") and (
                only_reads or script in ("tool_update.py", "history_expire.py", "dataset_purge.py")))


# ------------------------------------------------------------------------------------------------------------ all of it

def plan(args, scripts):
    """Return (script, mode, place, seed) of each run."""
    modes = [mode for mode in [*MODES, FULL, "mutated"] if any(mode.startswith(word) for word in
                                                         (args["--mode"] or "").split(","))]
    first, places = int_option(args, "--seed"), args["--place"].split(",")
    runs = [(script, mode, place, first) for script in scripts for mode in modes if mode != "mutated" for place in places
            if mode != FULL or place == "every"]
    if "mutated" in modes:
        runs += [(script, "mutated", "once", first + number) for script in scripts
                 for number in range(int_option(args, "--seeds"))]
    parts, part = int_option(args, "--one-in", least=1), int_option(args, "--part")
    return [(script, *rest) for script, *rest in runs
            if int(random.Random(f"{first} {script.name} {rest}").random() * parts) == part]


def work(tasks, pipe):
    """A worker: do the runs, and send what there is to say about each."""
    sweep = Sweep()
    try:
        for script, mode, place, seed in tasks:
            if place == "writes" and not sweep.healthy(script)[2] or sweep.healthy(script)[1] == 0:
                continue
            pipe.send(sweep.look(script, mode, place, seed))
        pipe.send(None)
    finally:
        sweep.close()


def results(tasks, workers):
    """Yield what each run came to."""
    pipes, processes = [], []
    for number in range(workers):
        ours, its = multiprocessing.Pipe(duplex=False)
        processes.append(multiprocessing.get_context("fork").Process(target=work, args=(tasks[number::workers], its),
                                                                     daemon=True))
        processes[-1].start()
        its.close()
        pipes.append(ours)
    while pipes:
        for pipe in multiprocessing.connection.wait(pipes):
            try:
                result = pipe.recv()
            except EOFError:
                raise SystemExit("a worker died") from None
            if result is None:
                pipes.remove(pipe)
            else:
                yield result
    for process in processes:       # each takes its folder away
        process.join()


def place_of(name):
    return ROOT / name if name in ("display.py", "create.py", "update.py", "delete.py") else ROOT / "scripts" / name


def told(result):
    line = re.sub(r"\s+", " ", result["err"])[-300:]
    return (f"  {result['script']} --mode='{result['mode']}' --place={result['place']} --seed={result['seed']} "
            f"{result['statuses']}: {line}")


def main(argv=None):
    args = arguments(__doc__, argv)
    scripts = [Path(name) if "/" in name else place_of(name) for name in (args["--script"] or ",".join(JOBS)).split(",")]
    for script in scripts:
        if not script.is_file():
            raise GalaxyError(f"--script={script.name}: no such script", USAGE)
    if args["--list"]:
        print("\n".join([*MODES, FULL, "mutated"]))
        return 0
    swept = set()
    began, figures, statuses, slow, memory, count = time.monotonic(), Counter(), Counter(), [], 0, Counter()
    tasks = plan(args, scripts)
    for result in results(tasks, int_option(args, "--workers", least=1)):
        count.update(["run"] + ["believed"] * result["believed"] + ["words"] * ("another form than" in result["err"]))
        swept.add(result["script"])
        statuses[result["statuses"][-1] if result["statuses"] else 0] += 1
        memory = max(memory, result["memory"])
        slow.append((result["seconds"], told(result)))
        for figure, about in result["found"].items():
            figures[figure] += 1
            print(f"{figure}: {about[-300:]}\n{told(result)}", flush=True)
        if args["--verbose"]:
            print(told(result), f"{result['seconds']:.1f} s", json.dumps(result["asked"]), result["out"], flush=True)
    print(f"\n{count['run']} runs of {len(swept)} scripts in {len({mode for _, mode, _, _ in tasks})} modes, "
          f"{time.monotonic() - began:.0f} s, the most memory {memory / 2**20:.0f} MiB, the slowest {max(slow)[0]:.0f} s; "
          f"statuses {dict(statuses)}.")
    print(f"{count['believed']} times a false answer was one that is also right, and was believed; {count['words']} times a "
          "message names the request, but not what its answer lacks.\n")
    show([{"what": name, "runs": figures[name]} for name in FIGURES])
    return 1 if figures else 0


if __name__ == "__main__":
    sys.exit(run(main))
