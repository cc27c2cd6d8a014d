"""Processes of scripts that are started, waited for and killed."""
import os
import signal
import subprocess
import time
from pathlib import Path


def begun(person, *line, stderr=subprocess.DEVNULL, **extra):
    """The process of a script that has just been started."""
    return subprocess.Popen(**person._call(line, extra), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)


def kill(process):
    """Whether it was killed; it may have ended well at that very moment."""
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL)
    return process.returncode != 0


def until(condition):
    """Wait for something that has to come about, however busy the machine is."""
    deadline = time.monotonic() + 300
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def killed_again_and_again(person, line, instants, times, longest, records=True, **extra):
    """Run a script again and again, killed each time at a random instant within `longest` seconds until that was done
    `times` times; then let it end well. How often it was killed. The early instants come first: a short run, which could
    end before a late one, is killed a few times at least.

    To remove its last record is the last thing that a script does. One that is killed between that and its end, which takes
    a while on a busy disk, has done all, and would do it a second time. (Downloads keep no `records` of the whole.)
    """
    kills, kept = 0, False
    for instant in sorted(instants.uniform(0.1, longest) for _ in range(times)):
        process = begun(person, *line, **extra)
        try:
            status = process.wait(timeout=instant)
        except subprocess.TimeoutExpired:
            ended, before = not kill(process), kept
            kept = any(Path(extra["XDG_STATE_HOME"]).glob("galaxy-api-scripts/transfers/*.json"))
            if ended or (records and before and not kept):
                break
            kills += 1
        else:
            assert status == 0
            break
    else:
        ended = person.run(*line, **extra)
        assert (ended.returncode, ended.stderr) == (0, "")
    print(f"{kills} kills")
    return kills
