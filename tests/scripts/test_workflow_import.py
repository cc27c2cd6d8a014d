"""workflow_import.py and workflow_import_from_file_rpark.py: the request for each kind of file, and what they refuse."""
import json

import pytest
import workflow_import
import workflow_import_from_file_rpark
from fakes import KEY, URL

from common import FAILED, TRY_LATER, USAGE

GA = '{"name": "n", "steps": {}}'
FORMAT_2 = "class: GalaxyWorkflow\ninputs: {}\nsteps: {}\n"
SENT = {"workflow": {"name": "n", "steps": {}, "annotation": "", "tags": []}}
NO = {"status_code": 403, "json": {"err_msg": "No rights", "err_code": 403002}}
BOTH = (workflow_import, workflow_import_from_file_rpark)


@pytest.fixture
def galaxy(requests_mock):
    """A Galaxy that imports a workflow and has all its tools."""
    requests_mock.post(f"{URL}/api/workflows", json={"id": "w", "name": "n"})
    requests_mock.get(f"{URL}/api/workflows/w/download", json={"steps": {}})
    return requests_mock


def posted(galaxy):
    return [request.json() for request in galaxy.request_history if request.method == "POST"]


def one_line_with(capsys, words):
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and words in captured.err and KEY not in captured.err
    return True


def test_a_ga_file_is_imported(script, galaxy, tmp_path, capsys):
    (tmp_path / "w.ga").write_text(GA)
    assert script(workflow_import.main, KEY, URL, tmp_path / "w.ga") == 0
    assert posted(galaxy) == [SENT] and galaxy.request_history[0].headers["x-api-key"] == KEY
    assert capsys.readouterr() == ("", "")
    assert script(workflow_import.main, "--format=value", "--fields=id", KEY, URL, tmp_path / "w.ga") == 0
    assert capsys.readouterr().out == "w\n"


def test_the_rpark_script_prints_the_answer(script, galaxy, tmp_path, capsys):
    (tmp_path / "w.ga").write_text(GA)
    assert script(workflow_import_from_file_rpark.main, KEY, f"{URL}/api/workflows/import", tmp_path / "w.ga") == 0
    assert posted(galaxy) == [SENT]
    assert capsys.readouterr() == ("Response\n--------\n{'id': 'w', 'name': 'n'}\n", "")


@pytest.mark.parametrize("text", [FORMAT_2, '{"class": "GalaxyWorkflow", "steps": {}}',
                                  "$graph: [{class: GalaxyWorkflow, id: main}]"])
@pytest.mark.parametrize("module", BOTH)
def test_a_format_2_file_is_imported(script, galaxy, tmp_path, module, text):
    (tmp_path / "w.gxwf.yml").write_text(text)
    assert script(module.main, KEY, URL, tmp_path / "w.gxwf.yml") == 0
    assert posted(galaxy) == [{"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}}]


def test_standard_input_is_imported(script, galaxy, type_in, capsys):
    type_in(GA)
    assert script(workflow_import.main, KEY, URL, "-") == 0
    assert posted(galaxy) == [SENT]
    type_in("{}")
    assert script(workflow_import.main, KEY, URL, "-") == USAGE
    assert one_line_with(capsys, "standard input: not a workflow")


def test_an_address_is_fetched_without_the_key(script, galaxy):
    galaxy.get("http://elsewhere.test/w.ga", status_code=302, headers={"Location": "http://store.test/1"})
    galaxy.get("http://store.test/1", text=GA)
    assert script(workflow_import.main, KEY, URL, "http://elsewhere.test/w.ga") == 0
    assert posted(galaxy) == [SENT]
    for request in galaxy.request_history:
        assert ("x-api-key" in request.headers) == request.url.startswith(URL)


def test_an_address_is_fetched_as_it_was_typed(script, galaxy):
    galaxy.get("http://elsewhere.test/w.ga", text=GA)
    assert script(workflow_import.main, KEY, URL, "http://elsewhere.test/w.ga?key=s3cret&v=1") == 0
    assert galaxy.request_history[0].url.endswith("?key=s3cret&v=1")
    assert "x-api-key" not in galaxy.request_history[0].headers


def test_an_endless_answer_is_not_read_to_its_end(script, loopback, capsys):
    taken = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(200):
                handler.wfile.write(b" " * 2**20)
                taken.append(1)
        except OSError:
            pass
        handler.close_connection = True
    loopback.will(endless)
    assert script(workflow_import.main, KEY, URL, f"{loopback.url}/w.ga") == FAILED
    assert one_line_with(capsys, "no workflow there: the answer is larger than 50 MiB") and len(taken) < 100


def test_a_broken_connection_is_worth_another_try(script, loopback, capsys):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.cut()
    loopback.will(cut)
    assert script(workflow_import.main, KEY, URL, f"{loopback.url}/w.ga") == TRY_LATER
    assert one_line_with(capsys, "the connection broke before the answer was whole")


@pytest.mark.parametrize("answer, status, words", [
    ({"status_code": 404, "text": "<html>"}, FAILED, "http://elsewhere.test/w.ga: no workflow there: the answer is 404"),
    ({"text": "<html><p>Sign in"}, USAGE, "http://elsewhere.test/w.ga: not a workflow: neither"),
    ({"content": b"\xff"}, USAGE, "not a text in UTF-8"), ({"status_code": 503}, TRY_LATER, "the answer is 503")])
def test_an_address_without_a_workflow_is_refused(script, galaxy, clock, capsys, answer, status, words):
    galaxy.get("http://elsewhere.test/w.ga", **answer)
    assert script(workflow_import.main, KEY, URL, "http://elsewhere.test/w.ga") == status
    assert one_line_with(capsys, words) and posted(galaxy) == []


def test_an_absolute_path_that_does_not_exist_here_is_the_servers(script, galaxy, capsys):
    assert script(workflow_import.main, KEY, URL, "/nosuch/w.ga") == 0
    assert posted(galaxy) == [{"from_path": "/nosuch/w.ga"}]
    galaxy.post(f"{URL}/api/workflows", status_code=403, json={"err_msg": "Action requires admin account."})
    assert script(workflow_import.main, KEY, URL, "/nosuch/w.ga") == FAILED
    assert one_line_with(capsys, "no such file on this machine, and importing a file on the server needs an administrator's")
    galaxy.post(f"{URL}/api/workflows", status_code=500, json={"err_msg": "Uncaught exception in exposed API method:"})
    assert script(workflow_import.main, KEY, URL, "/nosuch/w.ga") == FAILED
    assert one_line_with(capsys, "Galaxy finds no workflow there on the server")


def test_a_path_that_exists_here_is_never_the_servers(script, galaxy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert script(workflow_import.main, KEY, URL, "") == USAGE
    assert one_line_with(capsys, "FILE is empty: is a variable unset?")
    for file in ("w.ga", "./nosuch/w.ga", tmp_path, tmp_path / "dangling"):
        assert script(workflow_import.main, KEY, URL, file) == USAGE
        assert one_line_with(capsys, str(file).removeprefix("./"))
    assert script(workflow_import_from_file_rpark.main, KEY, URL, "/nosuch/w.ga") == USAGE
    assert galaxy.call_count == 0


def test_a_workflow_is_added_to_the_menu(script, galaxy, tmp_path):
    galaxy.put(f"{URL}/api/workflows/w", json={"id": "w"})
    (tmp_path / "w.ga").write_text(GA)
    assert script(workflow_import.main, KEY, URL, tmp_path / "w.ga", "--add_to_menu") == 0
    [sent] = [request.json() for request in galaxy.request_history if request.method == "PUT"]
    assert sent == {"show_in_tool_panel": True}


@pytest.mark.parametrize("module", BOTH)
def test_missing_tools_are_named(script, galaxy, tmp_path, capsys, module):
    """With their repositories and revisions, as the file has them, and the lines that install them."""
    fastp = "shed.test/repos/iuc/fastp/fastp/0.2"
    lacking = {"errors": "Tool is not installed", "tool_id": "bowtie2", "tool_version": "2.5"}
    galaxy.get(f"{URL}/api/workflows/w/download", json={"steps": {
        "0": {"errors": None, "tool_id": None}, "1": lacking, "2": lacking, "3": {"errors": None, "tool_id": "cat1"},
        "4": {"tool_id": None, "subworkflow": {"steps": {"0": {**lacking, "tool_id": fastp, "tool_version": "0.2"}}}}}})
    of_fastp = {"tool_id": fastp, "tool_shed_repository": {"changeset_revision": "c59d48774d03", "name": "fastp"}}
    (tmp_path / "w.ga").write_text(json.dumps({"name": "n", "steps": {"0": {"subworkflow": {"steps": {"0": of_fastp}}}}}))
    assert script(module.main, KEY, URL, tmp_path / "w.ga") == 0
    told, _, _, *rows, heading, line = capsys.readouterr().err.splitlines()
    assert told.endswith("can't run until an administrator installs bowtie2, iuc/fastp/fastp/0.2")
    assert [row.split() for row in rows] == [["bowtie2", "2.5"], [fastp, "0.2", "iuc", "fastp", "c59d48774d03"]]
    assert heading == "An administrator's line to install them:"
    assert line == f"tool_install.py --workflow={tmp_path}/w.ga - -"


def test_an_import_succeeds_even_if_its_tools_can_not_be_checked(script, galaxy, tmp_path, capsys):
    galaxy.get(f"{URL}/api/workflows/w/download", **NO)
    (tmp_path / "w.ga").write_text(GA)
    assert script(workflow_import.main, KEY, URL, tmp_path / "w.ga") == 0
    assert one_line_with(capsys, "workflow w is imported, but its tools could not be checked")


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("text, words", [
    ("{", "neither JSON nor YAML"), ("a: [b", "neither JSON nor YAML, line"),
    ("[]", "neither a .ga file"), ("{}", "neither a .ga file"), ("", "neither a .ga file"), ("just text", "neither a .ga"),
    ("steps: {}", "neither a .ga file"),
    ('{"name": ["n"], "steps": {}}', "has no name"), ('{"name": "n", "steps": {"0": 5}}', "its step 0 is not an object"),
    ("$graph: 5", "one of them main"), ("$graph: [5]", "one of them main"), ("$graph: []", "one of them main"),
    ("$graph: [{id: main}, {id: main}]", "one of them main"), ("$graph: [{id: main}, {}]", "workflows with an id each"),
    ('{"steps": 5}', "neither a .ga file"), ('{"steps": {}}', "has no name")])
def test_a_file_that_is_not_a_workflow_is_refused(script, galaxy, tmp_path, capsys, module, text, words):
    (tmp_path / "w.ga").write_text(text)
    assert script(module.main, KEY, URL, tmp_path / "w.ga") == USAGE
    assert one_line_with(capsys, words) and galaxy.call_count == 0


@pytest.mark.parametrize("module", BOTH)
def test_galaxys_refusal_is_one_line(script, galaxy, tmp_path, capsys, module):
    galaxy.post(f"{URL}/api/workflows", **NO)
    (tmp_path / "w.ga").write_text(GA)
    assert script(module.main, KEY, URL, tmp_path / "w.ga") == FAILED
    assert one_line_with(capsys, "No rights")


@pytest.mark.parametrize("module", BOTH)
@pytest.mark.parametrize("line", [[KEY], [KEY, URL], [KEY, URL, "f", "g"], [KEY, URL, "w.ga", "--format=tabel"]])
def test_bad_lines_are_refused_before_any_request(script, requests_mock, capsys, module, line):
    assert script(module.main, *line) == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err and KEY not in captured.err and requests_mock.call_count == 0
