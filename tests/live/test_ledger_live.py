"""A unit of work in a ledger, of which a real Galaxy begins one invocation, whoever kills whom."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BEGIN = """
import json, os, signal, sys
import invocations
from common import Galaxy
from ledger import Ledger
key, url, path, workflow, body, killed = sys.argv[1:]
if killed:      # between Galaxy's answer and the note of it
    real = invocations.begin
    invocations.begin = lambda *line: real(*line) and os.kill(os.getpid(), signal.SIGKILL)
with Ledger(path, server=url) as book:
    unit = book.unit("k1") or book.add("k1", "Seattle")
    unit.save(state="running", attempt=unit.attempt + 1, history=json.loads(body)["history_id"])
    with unit.step("begin"):
        print(invocations.begin_once(Galaxy(key, url), workflow, json.loads(body), unit))
"""


def test_a_kill_between_the_answer_and_its_note(person, workflow, weather, tmp_path):
    history, path = person.new_history("ledger"), tmp_path / "a.ledger"
    body = json.dumps({"history_id": history, "inputs_by": "step_index", "no_add_to_history": True,
                       "inputs": {"0": {"src": "hda", "id": weather.dataset}}})

    def begun(killed):
        return subprocess.run([sys.executable, "-c", BEGIN, person.key, person.url, path, workflow, body, killed],
                              capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    first, second, third = begun("yes"), begun(""), begun("")
    assert first.returncode == -signal.SIGKILL
    assert (second.returncode, second.stderr, third.stdout) == (0, "", second.stdout)
    made, = person.look("invocations", history_id=history)
    assert second.stdout == f"{made['id']}\n"

    shown = person.run("ledger_show.py", "--format=value", "--fields=name,state,attempt,history,invocation", path)
    assert (shown.stdout, shown.stderr) == (f"Seattle\trunning\t3\t{history}\t{made['id']}\n", "")
    steps = person.run("ledger_show.py", "--steps", "--format=value", "--fields=attempt,step,outcome", path)
    assert steps.stdout == "1\tbegin\t\n2\tbegin\tok\n3\tbegin\tok\n"
