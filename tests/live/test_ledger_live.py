"""A sample in a ledger gets one invocation on a real Galaxy, whenever its process is killed."""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SUBMIT = """
import json, os, signal, sys
from common import Galaxy
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.invocations import invocation
key, url, path, workflow, body, killed = sys.argv[1:]
if killed:      # between Galaxy's answer and the note of it
    submit = invocation.submit_invocation
    invocation.submit_invocation = lambda *line: submit(*line) and os.kill(os.getpid(), signal.SIGKILL)
with Ledger(path, server=url) as ledger:
    sample = ledger.sample("k1") or ledger.add("k1", "Seattle")
    sample.save(state="running", attempt=sample.attempt + 1, history=json.loads(body)["history_id"])
    with sample.step(Stage.SUBMIT):
        print(invocation.submit_once(Galaxy(key, url), workflow, json.loads(body), sample))
"""


def test_a_kill_between_the_answer_and_its_note(person, workflow, weather, tmp_path):
    history, path = person.new_history("ledger"), tmp_path / "a.ledger"
    body = json.dumps({"history_id": history, "inputs_by": "step_index", "no_add_to_history": True,
                       "inputs": {"0": {"src": "hda", "id": weather.dataset}}})

    def submit(killed):
        return subprocess.run([sys.executable, "-c", SUBMIT, person.key, person.url, path, workflow, body, killed],
                              capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    first, second, third = submit("yes"), submit(""), submit("")
    assert first.returncode == -signal.SIGKILL
    assert (second.returncode, second.stderr, third.stdout) == (0, "", second.stdout)
    made, = person.look("invocations", history_id=history)
    assert second.stdout == f"{made['id']}\n"

    shown = person.run("ledger_show.py", "--format=value", "--fields=name,state,attempt,history,invocation", path)
    assert (shown.stdout, shown.stderr) == (f"Seattle\trunning\t3\t{history}\t{made['id']}\n", "")
    steps = person.run("ledger_show.py", "--steps", "--format=value", "--fields=attempt,step,outcome", path)
    assert steps.stdout == "1\tsubmit\t\n2\tsubmit\tok\n3\tsubmit\tok\n"
