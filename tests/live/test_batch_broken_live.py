"""workflow_batch.py where a person does something with Galaxy or the line between two visits."""
from .test_workflow_batch_live import FIRST, WORKFLOWS, a_sheet, samples, told


def test_a_line_without_the_history_that_the_last_one_had(person, tmp_path):
    """The runs of the other samples in that history stay."""
    sheet = a_sheet(tmp_path, 3)
    line = [person.key, person.url, FIRST, sheet]
    person.run("workflow_batch.py", "-q", "--once", "--history=new:All of these", *line)
    assert person.run("workflow_batch.py", "-q", *line).returncode == 0
    [history] = {unit["history"] for unit in told(person.run("ledger_show.py", "--format=tsv", f"{sheet}.ledger")).values()}
    runs = person.look("invocations", history_id=history)
    assert len(runs) == 3 and not [run for run in runs if run["state"] in ("cancelled", "cancelling")]


def test_a_run_that_is_reviewed(person, tmp_path):
    """The same line resumes it."""
    sheet = a_sheet(tmp_path, 1)
    line = ["workflow_batch.py", person.key, person.url, WORKFLOWS / "review.gxwf.yml", sheet]
    [sample] = samples(tmp_path, 1)
    waiting = told(person.run(*line), 1)[sample]
    assert "is waiting for a review of step 2 (look)" in waiting["message"]
    [step] = [step for step in person.look(f"invocations/{waiting['invocation']}")["steps"]
              if step["workflow_step_label"] == "look"]
    person.asked("PUT", f"invocations/{waiting['invocation']}/steps/{step['id']}", json={"action": True})
    ended = told(person.run(*line))[sample]
    assert (ended["state"], ended["attempt"], ended["invocation"]) == ("ok", "1", waiting["invocation"])
    assert len(person.look("invocations", history_id=ended["history"])) == 1


def test_a_sheet_whose_folder_was_moved(person, tmp_path):
    (tmp_path / "before").mkdir()
    sheet = a_sheet(tmp_path / "before", 2)
    assert len(told(person.run("workflow_batch.py", person.key, person.url, FIRST, sheet))) == 2
    (tmp_path / "before").rename(tmp_path / "after")
    ended = person.run("workflow_batch.py", person.key, person.url, FIRST, tmp_path / "after" / sheet.name)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
