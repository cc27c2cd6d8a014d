"""From file to result against a real Galaxy, each script by its command line; then Galaxy is asked."""
import hashlib
import json
import os
from pathlib import Path

import pytest

from common import Galaxy, GalaxyError
from galaxy_api_scripts.polling import wait_datasets, wait_jobs

ROOT = Path(__file__).parent.parent.parent

# An honest failure: the tool runs, and ends with an error.
FAILING = {"a_galaxy_workflow": "true", "format-version": "0.1", "annotation": "", "name": "fails", "steps": {
    "0": {"id": 0, "type": "data_input", "label": "table", "tool_state": json.dumps({"optional": False}),
          "input_connections": {}, "workflow_outputs": []},
    "1": {"id": 1, "type": "tool", "label": "Sum of words", "tool_id": "Grouping1", "tool_version": "2.1.4",
          "input_connections": {"input1": {"id": 0, "output_name": "output"}}, "workflow_outputs": [],
          "tool_state": json.dumps({"groupcol": "1", "ignorecase": False, "ignorelines": None, "operations": [
              {"optype": "sum", "opcol": "1", "opround": "no", "opdefault": None}]})},
    "2": {"id": 2, "type": "tool", "label": "After it", "tool_id": "Cut1", "tool_version": "1.0.2",
          "input_connections": {"input": {"id": 1, "output_name": "out_file1"}}, "workflow_outputs": [],
          "tool_state": json.dumps({"columnList": "c1", "delimiter": "T"})}}}


def test_key_show_gives_the_users_key(person):
    ended = person.run("key_show.py", person.url, person.email, stdin=person.password + "\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, person.key + "\n", "")


def test_key_show_with_a_wrong_password(person):
    ended = person.run("key_show.py", person.url, person.email, stdin="wrong password\n")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1 and "wrong password" not in ended.stderr


def test_history_create_history(person):
    ended = person.run("history_create_history.py", person.key, f"{person.url}/api/histories", "Only this one")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    assert [one["name"] for one in person.look("histories")].count("Only this one") == 1


def test_upload_to_history_byte_for_byte(person, tmp_path):
    file = tmp_path / "any bytes.bin"
    file.write_bytes(os.urandom(3_000_000) + b"\r\nno newline at the end")
    history = person.new_history("upload")
    ended = person.run("upload_to_history.py", person.key, person.url, history, file, "filename=named", "file_type=data",
                       "dbkey=hg38")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.startswith("{'outputs': [{'id': '")
    held = person.look(f"histories/{history}/contents")
    assert [one["name"] for one in held] == ["named"]
    wait_datasets(Galaxy(person.key, person.url), history, [held[0]["id"]], timeout=120)
    dataset = person.look(f"datasets/{held[0]['id']}")
    content = file.read_bytes()
    assert (dataset["state"], dataset["file_size"], dataset["extension"], dataset["genome_build"]) == (
        "ok", len(content), "data", "hg38")
    assert [one["hash_value"] for one in dataset["hashes"]] == [hashlib.sha256(content).hexdigest()]


def test_upload_to_history_of_an_empty_file_and_an_odd_name(person, tmp_path):
    file = tmp_path / "Größe 'x' \"y\";$.txt"
    file.touch()
    history = person.new_history("upload of nothing")
    assert person.run("upload_to_history.py", "-q", person.key, person.url, history, file).returncode == 0
    held = person.look(f"histories/{history}/contents")
    assert [one["name"] for one in held] == [file.name]
    wait_datasets(Galaxy(person.key, person.url), history, [held[0]["id"]], timeout=120)
    assert person.look(f"datasets/{held[0]['id']}")["file_size"] == 0


def test_upload_to_history_refused(person, tmp_path):
    file = tmp_path / "a"
    file.write_text("a")
    for history, path, status in (("f" * 16, file, 1), (person.new_history("empty"), tmp_path / "nosuch", 2)):
        ended = person.run("upload_to_history.py", person.key, person.url, history, path)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)


def test_bytes_that_changed_on_the_way_end_in_error(person, tmp_path, monkeypatch):
    """What Galaxy does with the hash that we send."""
    from galaxy_api_scripts.datasets import hashing, tus, upload
    file = tmp_path / "a.txt"
    file.write_text("abc")
    history = person.new_history("wrong hash")
    galaxy = Galaxy(person.key, person.url)
    monkeypatch.setattr(hashing.StreamHash, "hexdigest", lambda digest: hashlib.sha256(b"other").hexdigest())
    element, session = tus.upload_file(galaxy, str(file))
    targets = [{"destination": {"type": "hdas"}, "elements": [{**element, "ext": "txt"}]}]
    dataset = upload.post_fetch(galaxy, history, targets, [session])["outputs"][0]["id"]
    assert wait_datasets(galaxy, history, [dataset], timeout=120) == {dataset: "error"}


def test_workflow_import(person):
    before = {one["id"] for one in person.look("workflows")}
    ended = person.run("workflow_import.py", person.key, person.url, ROOT / "demo" / "wet_days.ga")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    [made] = {one["id"] for one in person.look("workflows")} - before
    assert person.look(f"workflows/{made}")["name"] == "Wet days by month"
    assert [step["tool_id"] for step in person.look(f"workflows/{made}")["steps"].values()] == [
        None, "Grep1", "Filter1", "Grouping1", "sort1"]


def test_workflow_import_of_a_bare_file(person, tmp_path):
    bare = {name: value for name, value in FAILING.items() if name != "annotation"}
    (tmp_path / "bare.ga").write_text(json.dumps(bare))
    made = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url, tmp_path / "bare.ga")
    assert person.look(f"workflows/{made}")["name"] == "fails"


def test_workflow_import_into_the_menu(person):
    made = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url,
                        ROOT / "demo" / "wet_days.ga", "--add_to_menu")
    assert [one["show_in_tool_panel"] for one in person.look("workflows") if one["id"] == made] == [True]


def wet_days():
    """The workflow's result, computed here."""
    months = {}
    for line in (ROOT / "demo" / "seattle_2015.tsv").read_text().splitlines()[1:]:
        _, month, rain = line.split("\t")[:3]
        if float(rain) >= 1:
            months.setdefault(month, []).append(float(rain))
    return {month: [len(rain), pytest.approx(sum(rain)), pytest.approx(max(rain))] for month, rain in months.items()}


def test_from_file_to_result(person, workflow, weather, tmp_path):
    run = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, f"{person.url}/api/workflows",
                       workflow, "Results of 2015", f"observations=hda={weather.dataset}")
    ended = person.run("invocation_wait.py", "--timeout=300", "--format=json", person.key, person.url, run)
    assert (ended.returncode, ended.stderr) == (0, "")
    [output] = json.loads(ended.stdout)
    assert (output["label"], output["src"]) == ("wet_days", "hda")

    held = person.look(f"invocations/{run}")
    history = person.look(f"histories/{held['history_id']}")
    assert history["name"] == "Results of 2015" and held["outputs"]["wet_days"]["id"] == output["id"]
    assert [job["state"] for job in person.look("jobs", invocation_id=run)] == ["ok"] * 4

    ended = person.run("dataset_download.py", f"--to={tmp_path}/out", person.key, person.url, output["id"])
    assert ended.returncode == 0 and ended.stderr == ""
    [file] = [path for path in (tmp_path / "out").iterdir() if path.name != "manifest.tsv"]
    assert ended.stdout == f"{file}\n"
    rows = [line.split("\t") for line in file.read_text().splitlines()]
    assert {month: [int(days), float(rain), float(most)] for month, days, rain, most in rows} == wet_days()
    assert file.stat().st_size == person.look(f"datasets/{output['id']}")["file_size"]


def test_workflow_execute_into_a_history_that_is_there(person, workflow, weather):
    history = person.new_history("there already")
    ended = person.run("workflow_execute.py", person.key, f"{person.url}/api/workflows", workflow, f"hist_id={history}",
                       f"0=hda={weather.dataset}")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    assert len(person.look("invocations", history_id=history)) == 1


def test_workflow_execute_submits_nothing_for_a_wrong_input(person, workflow, weather):
    before = len(person.look("invocations", workflow_id=workflow, limit=100))
    for line, words in ((["obervations=hda=x"], "did you mean observations?"), (["--dry-run", "0=hda=x"], "")):
        ended = person.run("workflow_execute.py", person.key, person.url, workflow, "none", *line)
        assert words in ended.stderr and ended.returncode == (2 if words else 0)
    assert len(person.look("invocations", workflow_id=workflow, limit=100)) == before


def test_invocation_wait_tells_the_truth_about_a_failure(person, weather):
    workflow = person.asked("POST", "workflows", json={"workflow": FAILING})["id"]
    run = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url, workflow,
                       "it fails", f"table=hda={weather.dataset}")
    ended = person.run("invocation_wait.py", "--timeout=300", person.key, person.url, run)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "failed: 1 error" in ended.stderr and "step 1 (Sum of words), tool Grouping1 2.1.4, is error, " in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "error" in [job["state"] for job in person.look("jobs", invocation_id=run)]


def test_invocation_wait_until_the_time_is_up(person, workflow, weather):
    run = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url, workflow,
                       "no time", f"0=hda={weather.dataset}")
    ended = person.run("invocation_wait.py", "--timeout=0", person.key, person.url, run)
    assert (ended.returncode, ended.stdout) == (4, "") and "still runs after 0 s" in ended.stderr
    assert person.run("invocation_wait.py", "--quiet", person.key, person.url, run).returncode == 0


def test_invocation_wait_for_one_that_was_cancelled(person, workflow, weather):
    run = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url, workflow,
                       "cancelled", f"0=hda={weather.dataset}")
    person.asked("DELETE", f"invocations/{run}")
    ended = person.run("invocation_wait.py", "--timeout=300", person.key, person.url, run)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert person.look(f"invocations/{run}")["state"] in ("cancelled", "cancelling")


def test_dataset_download_refuses_what_is_not_ok(person, tmp_path):
    history = person.new_history("not ok")
    made = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [{
        "destination": {"type": "hdas"}, "elements": [{"src": "url", "url": "http://127.0.0.1:9/nothing", "name": "no"}]}]})
    dataset = made["outputs"][0]["id"]
    assert wait_datasets(Galaxy(person.key, person.url), history, [dataset], timeout=120) == {dataset: "error"}
    ended = person.run("dataset_download.py", f"--to={tmp_path}", person.key, person.url, dataset)
    assert (ended.returncode, ended.stdout) == (1, "") and "is in state error" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "manifest.tsv"]


def test_dataset_download_of_what_galaxy_would_pack(person, tmp_path):
    file = tmp_path / "report.html"
    file.write_text("<html><body>MultiQC</body></html>\n")
    dataset = person.uploaded(person.new_history("html"), file, file_type="html")
    ended = person.run("dataset_download.py", f"--to={tmp_path}/d", person.key, person.url, dataset)
    assert ended.stdout == f"{tmp_path}/d/report.html\n"
    assert (tmp_path / "d" / "report.html").read_bytes() == file.read_bytes()


def test_dataset_download_of_some(person, weather, tmp_path):
    ended = person.run("dataset_download.py", f"--to={tmp_path}/d", person.key, person.url, "f" * 16, weather.dataset)
    assert ended.returncode == 3 and ended.stderr.count("\n") == 1
    assert (tmp_path / "d" / "seattle_2015.tsv").read_bytes() == (ROOT / "demo" / "seattle_2015.tsv").read_bytes()


def test_names_and_waiting_on_a_real_server(person):
    """What common.py promises to scripts that come later."""
    galaxy = Galaxy(person.key, person.url)
    one, two, three = person.new_history("name, once"), person.new_history("name twice"), person.new_history("name twice")
    assert galaxy.find("histories", "name, once")["id"] == one
    with pytest.raises(GalaxyError) as caught:
        galaxy.find("histories", "name twice")
    assert two in str(caught.value) and three in str(caught.value)
    with pytest.raises(GalaxyError, match="none of your histories"):
        galaxy.find("histories", "name")
    assert galaxy.current_user()["email"] == person.email
    with pytest.raises(GalaxyError, match="does not recognise this API key"):
        Galaxy("anonymous", person.url).current_user()

    elements = [{"src": "pasted", "paste_content": f"{number}\n", "name": str(number)} for number in range(12)]
    made = galaxy.post("tools/fetch", {"history_id": one, "targets": [
        {"destination": {"type": "hdas"}, "elements": some} for some in (elements[:6], elements[6:])]})
    jobs = {job["id"] for job in made["jobs"]}
    assert wait_jobs(galaxy, one, jobs, timeout=120) == dict.fromkeys(jobs, "ok")
    datasets = [output["id"] for output in made["outputs"]]
    assert wait_datasets(galaxy, one, datasets, timeout=120) == dict.fromkeys(datasets, "ok")
    assert {person.look(f"datasets/{one}")["state"] for one in datasets} == {"ok"}
