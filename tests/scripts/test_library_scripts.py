"""The scripts of data libraries other than library_upload_dir.py: their requests, output and exit statuses."""
import json

import copy_hda_to_library_folder
import fetch_to_library
import import_library_dataset_to_history
import library_create_folder
import library_create_library
import library_upload_from_import_dir
import load_data_with_metadata
import pytest
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE
from galaxy_api_scripts.libraries import uploads

CONTENTS = f"{URL}/api/libraries/l1/contents"
FORBIDDEN = {"status_code": 403, "json": {"err_msg": "No rights", "err_code": 403002}}
CREATED = [{"id": "new", "name": "n", "url": "/api/x"}]
RESPONSE = "Response\n--------\n/api/x\n  name: n\n  id: new\n"


def reports_error(capsys, *words):
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and KEY not in output.err
    assert [word for word in words if word not in output.err] == []
    return True


@pytest.fixture
def yaml(tmp_path):
    """Return `yaml(text)`, which writes a file of this text and returns its path."""
    def write(text):
        (tmp_path / "target.yml").write_text(text)
        return tmp_path / "target.yml"
    return write


TARGET = "destination: {type: library, name: Genomes}\nitems:\n- {src: pasted, paste_content: x, name: y}\n"


@pytest.fixture
def metadata(tmp_path):
    """A folder with a file that has a JSON companion, and a file without one."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.bed").write_text("abc")
    (folder / "a.bed.json").write_text('{"tissue": "liver", "mark": "12345678-1234-1234-1234-1234567890ab"}')
    (folder / "b.bed").write_text("alone")
    return folder


# ---------------------------------------------------------------------------------------------- bad lines

@pytest.mark.parametrize("module, lines", [
    (library_create_library, [[], [KEY, URL], [KEY, URL, "n", "--nosuch"], [KEY, URL, ""]]),
    (library_create_folder, [[KEY, CONTENTS, "F1"], [KEY, CONTENTS, "1", "n"], [KEY, CONTENTS, "", "n"],
                             [KEY, URL, "F1", "n"], [KEY, CONTENTS, "F1", ""]]),
    (import_library_dataset_to_history, [[KEY, URL], [KEY, CONTENTS, "d1"], [KEY, f"{URL}/api/histories", "d1"],
                                         [KEY, f"{URL}/api/histories/h1/contents", "d/1"]]),
    (library_upload_from_import_dir, [[KEY, CONTENTS, "F1", "auto", "dir"], [KEY, CONTENTS, "F1", "auto", "", "?"],
                                      [KEY, CONTENTS, "1", "auto", "dir", "?"]]),
    (copy_hda_to_library_folder, [[URL, KEY, "d1", "l1"], [URL, KEY, "d1", "l1", ""], [KEY, URL, "d1", "l1", "F1"],
                                  [URL, KEY, "d1", "l1", "1"]]),
    (load_data_with_metadata, [[KEY, URL, "/"], [KEY, URL, "/nosuch", "n"], [KEY, URL, "/etc/hosts", ""]]),
    (fetch_to_library, [["-u", URL, "-a", KEY], ["-u", URL, "f"], ["-u", URL, "-a", KEY, "/nosuch"]]),
])
def test_a_bad_line_is_a_usage_error_and_sends_nothing(script, capsys, requests_mock, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert script(module.main, "--help") == 0
    assert requests_mock.call_count == 0


# --------------------------------------------------------------------------------------------------- one request each

CASES = [
    (library_create_library.main, [KEY, f"{URL}/api/libraries", "n"], f"{URL}/api/libraries", {"name": "n"}),
    (library_create_library.main, [KEY, URL, "n", "what", "more"], f"{URL}/api/libraries",
     {"name": "n", "description": "what", "synopsis": "more"}),
    (library_create_folder.main, [KEY, CONTENTS, "F1", "n", "what"], CONTENTS,
     {"folder_id": "F1", "name": "n", "create_type": "folder", "description": "what"}),
    (import_library_dataset_to_history.main, [KEY, f"{URL}/api/histories/h1/contents", "d1"],
     f"{URL}/api/histories/h1/contents", {"source": "library", "content": "d1"}),
    (library_upload_from_import_dir.main, [KEY, CONTENTS, "F1", "auto", "run 1", "hg38"], CONTENTS,
     {"folder_id": "F1", "file_type": "auto", "server_dir": "run 1", "dbkey": "hg38", "upload_option": "upload_directory",
      "create_type": "file"}),
    (copy_hda_to_library_folder.main, [URL, KEY, "d1", "l1", "F1"], CONTENTS,
     {"folder_id": "F1", "create_type": "file", "from_hda_id": "d1"}),
    (copy_hda_to_library_folder.main, ["galaxy.test", KEY, "d1", "l1", "F1", "words"], CONTENTS,
     {"folder_id": "F1", "create_type": "file", "from_hda_id": "d1", "ldda_message": "words"}),
]
each_case = pytest.mark.parametrize("main, line, address, payload", CASES)


def serve_library(mock):
    """Let Galaxy know the library, its folders and the genome build."""
    mock.get(f"{URL}/api/libraries/l1", json={"id": "l1", "name": "There", "root_folder_id": "F0", "deleted": False})
    mock.get(f"{URL}/api/folders/F1", json={"id": "F1", "name": "f", "parent_id": "F0", "parent_library_id": "l1"})
    mock.get(f"{URL}/api/folders/F0", json={"id": "F0", "name": "There", "parent_id": None})
    mock.get(f"{URL}/api/genomes", json=[["Human", "hg38"]])


@pytest.mark.parametrize("main, line", [(main, line) for main, line, address, _ in CASES if address == CONTENTS])
def test_nothing_is_added_to_a_deleted_library_or_folder(script, requests_mock, capsys, main, line):
    serve_library(requests_mock)
    for name in ("folders/F0", "folders/F1", "libraries/l1"):
        requests_mock.get(f"{URL}/api/{name}", json={"name": "gone", "parent_id": "F0", "deleted": True})
        assert script(main, *line) == FAILED
        assert reports_error(capsys, "(gone) is deleted: an administrator") and post_requests(requests_mock) == []


def test_library_create_refuses_a_url_of_another_route(script, requests_mock, capsys):
    for url in (CONTENTS, f"{URL}/api/libraries/l1", f"{URL}/api/histories"):
        assert script(library_create_library.main, KEY, url, "n") == USAGE
        assert reports_error(capsys, f"this script needs {URL}/api/libraries") and requests_mock.call_count == 0


@each_case
def test_the_request_is_sent_and_the_answer_printed(script, requests_mock, capsys, main, line, address, payload):
    serve_library(requests_mock)
    requests_mock.post(address, json=CREATED)
    assert script(main, *line) == 0
    assert requests_mock.last_request.json() == payload and requests_mock.last_request.headers["x-api-key"] == KEY
    assert capsys.readouterr() == (RESPONSE, "")
    assert script(main, "--format=value", "--fields=id", *line) == 0
    assert capsys.readouterr() == ("new\n", "")


@each_case
def test_an_error_is_one_line_on_standard_error(script, requests_mock, capsys, main, line, address, payload):
    serve_library(requests_mock)
    requests_mock.post(address, **FORBIDDEN)
    assert script(main, *line) == FAILED
    assert reports_error(capsys, "No rights")


def test_a_folder_without_a_description_says_so_as_the_original_did(script, requests_mock, capsys):
    serve_library(requests_mock)
    requests_mock.post(CONTENTS, json=CREATED)
    assert script(library_create_folder.main, KEY, CONTENTS, "F1", "n") == 0
    assert requests_mock.last_request.json()["description"] == ""
    assert capsys.readouterr().out == f"Unable to set description; using empty description in its place\n{RESPONSE}"


@pytest.mark.parametrize("answer, words", [
    ({"err_msg": "Only administrators can create libraries", "err_code": 403002}, "admin_users of galaxy.yml"),
    ({"err_msg": "You must be an administrator", "err_code": 403006}, "admin_users of galaxy.yml"),
    ({"err_msg": "You are not authorized to add an item", "err_code": 403002}, "the library's managers and the server's"),
    ({"err_msg": "You do not have proper permissions to add a dataset to this folder,", "err_code": 403005},
     "this folder: the library's managers and the server's"),
    ({"err_msg": '"library_import_dir" is not set in the Galaxy configuration', "err_code": 403004},
     "the server's administrator can allow it in galaxy.yml")])
def test_an_error_says_who_can_permit_the_request(script, requests_mock, capsys, answer, words):
    serve_library(requests_mock)
    requests_mock.post(CONTENTS, status_code=403, json=answer)
    assert script(library_upload_from_import_dir.main, KEY, CONTENTS, "F1", "auto", "dir", "?") == FAILED
    assert reports_error(capsys, answer["err_msg"].rstrip(","), words)


def test_an_unknown_dbkey_is_refused_before_anything_is_sent(script, requests_mock, capsys):
    serve_library(requests_mock)
    assert script(library_upload_from_import_dir.main, KEY, CONTENTS, "F1", "auto", "dir", "hg99") == USAGE
    assert reports_error(capsys, "no genome build 'hg99'") and post_requests(requests_mock) == []


def test_a_missing_folder_of_the_import_directory_is_named(script, requests_mock, capsys):
    message = "Unable to get file list for configured library_import_dir, error: [Errno 2] No such file: '/srv/dir'"
    serve_library(requests_mock)
    requests_mock.post(CONTENTS, status_code=500, json={"err_code": 500001, "err_msg": message})
    assert script(library_upload_from_import_dir.main, KEY, CONTENTS, "F1", "auto", "dir", "") == FAILED
    assert requests_mock.last_request.json()["dbkey"] == "?"
    assert reports_error(capsys, "SERVER_DIR: the server can't read 'dir'", "/srv/dir")


# ---------------------------------------------------------------------------------------------- load_data_with_metadata

@pytest.fixture
def library(requests_mock):
    """An administrator's Galaxy that links files by path, with the library `There`, whose a.bed is in state error."""
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "is_admin": True})
    requests_mock.get(f"{URL}/api/configuration", json={"allow_library_path_paste": True})
    requests_mock.get(f"{URL}/api/libraries", json=[{"id": "l1", "name": "There", "root_folder_id": "F1"}])
    requests_mock.post(f"{URL}/api/libraries", json={"id": "l1", "root_folder_id": "F1"})
    requests_mock.get(f"{URL}/api/folders/F1/contents", [{"json": listing("error")}, {"json": listing("ok", "error")}])
    requests_mock.get(f"{URL}/api/jobs", json=[{"id": "j"}])
    requests_mock.delete(f"{URL}/api/libraries/datasets/d1", json={})
    requests_mock.post(CONTENTS, json=CREATED)
    return requests_mock


def listing(*states, size=3):
    return {"metadata": {"parent_library_id": "l1", "folder_name": "There", "can_add_library_item": True, "total_rows": 1},
            "folder_contents": [{"id": f"d{len(states) - place}", "type": "file", "name": "a.bed", "raw_size": size,
                                 "state": state, "message": "Job failed"} for place, state in enumerate(states)]}


def post_requests(requests_mock):
    return [(request.path, request.json()) for request in requests_mock.request_history if request.method == "POST"]


def test_load_data_links_files_with_a_companion(script, library, metadata, capsys):
    assert script(load_data_with_metadata.main, KEY, f"{URL}/api/", metadata, "There") == 0
    assert post_requests(library) == [("/api/libraries/l1/contents", {
        "folder_id": "F1", "file_type": "auto", "dbkey": "?", "upload_option": "upload_paths", "create_type": "file",
        "filesystem_paths": f"{metadata}/a.bed", "link_data_only": "link_to_files",
        "extended_metadata": {"tissue": "liver", "mark": "12345678-1234-1234-1234-1234567890ab"}})]
    assert capsys.readouterr() == (f"Loading {metadata}/a.bed\n{RESPONSE}", "")
    deletions = [request.path for request in library.request_history if request.method == "DELETE"]
    assert deletions == ["/api/libraries/datasets/d1"]


@pytest.mark.parametrize("states, words", [(["error", "error"], "Galaxy did not keep it: Job failed"),
                                           (["paused", "error"], "it is paused: most often the quota"),
                                           (["ok", "ok"], "2 datasets of this name were added: ")])
def test_load_data_reports_failed_jobs(script, library, metadata, capsys, states, words):
    library.delete(f"{URL}/api/libraries/datasets/d2", json={})
    library.get(f"{URL}/api/folders/F1/contents", [
        {"json": listing(*["error"] * states.count("error"))}, {"json": listing(*states)}])
    if "paused" in states:
        library.get(f"{URL}/api/folders/F1/contents", [{"json": listing()}, {"json": listing("paused")}])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == SOME_FAILED
    output = capsys.readouterr()
    assert f"{metadata}/a.bed: " in output.err and words in output.err and output.err.count("\n") == 1
    assert len([request for request in library.request_history if request.method == "DELETE"]) == states.count("error") - \
        ("paused" in states)


def test_load_data_waits_for_the_jobs(script, library, metadata, clock, capsys):
    states = [[], ["queued"], ["running"], ["ok"]]
    library.get(f"{URL}/api/folders/F1/contents", [{"json": listing(*names)} for names in states])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == 0
    assert len(clock.slept) == 2 and capsys.readouterr().err == ""
    library.get(f"{URL}/api/folders/F1/contents", [{"json": listing()}, {"json": listing("queued")}])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There", "--timeout=9") == STILL_RUNNING
    assert "1 of 1 files are still being loaded after 9 s" in capsys.readouterr().err


def test_b15_load_data_does_not_wait_for_a_cancelled_job(script, library, metadata, clock, capsys):
    """Galaxy leaves the dataset of such a job in the state that it was in."""
    library.get(f"{URL}/api/jobs", [{"json": [{"id": "j"}]}, {"json": []}])
    library.get(f"{URL}/api/folders/F1/contents", [{"json": listing()}, {"json": listing("queued")}])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == SOME_FAILED
    output = capsys.readouterr()
    assert output.err.endswith("a.bed: its job has ended without it: was it cancelled?\n") and output.err.count("\n") == 1
    assert [one.path for one in library.request_history if one.method == "DELETE"] == ["/api/libraries/datasets/d1"]


def test_b15_load_data_waits_for_what_an_earlier_run_did_not_see_the_end_of(script, library, metadata, clock, capsys):
    library.get(f"{URL}/api/folders/F1/contents", [{"json": listing("running")}] * 3 + [{"json": listing("ok")}])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == 0
    assert post_requests(library) == [] and len(clock.slept) == 2
    library.get(f"{URL}/api/folders/F1/contents", [{"json": listing("running")}] * 2 + [{"json": listing("error")}])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == SOME_FAILED
    assert "Galaxy did not keep it: Job failed" in capsys.readouterr().err


def test_load_data_does_not_load_a_paused_file_again(script, library, metadata, capsys):
    library.get(f"{URL}/api/folders/F1/contents", json=listing("paused"))
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == FAILED
    assert reports_error(capsys, "is paused: most often the quota") and post_requests(library) == []


def test_load_data_runs_once_at_a_time(script, library, metadata, capsys):
    with uploads.exclusive_run("the library 'There'"):
        assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == TRY_LATER
    assert reports_error(capsys, "another run is at work on the library 'There'") and post_requests(library) == []


@pytest.mark.parametrize("name", ["a\nb.bed", " a.bed ", "a\x1cb"])
def test_load_data_refuses_paths_that_galaxy_would_split(script, library, tmp_path, capsys, name):
    (tmp_path / "odd").mkdir()
    for end in ("", ".json"):
        (tmp_path / "odd" / f"{name}{end}").write_text("{}")
    status = script(load_data_with_metadata.main, KEY, URL, tmp_path / "odd", "There")
    assert status == USAGE and library.call_count == 0
    assert reports_error(capsys, "Galaxy takes no newline in a path")


def test_load_data_creates_the_library_and_sends_uuids(script, library, metadata):
    assert script(load_data_with_metadata.main, "--uuid_field=mark", KEY, URL, metadata / "a.bed", "New") == 0
    creation, load = post_requests(library)
    assert creation == ("/api/libraries", {"name": "New"})
    assert load[1]["uuid"] == "12345678-1234-1234-1234-1234567890ab"


def test_load_data_leaves_out_files_in_the_library(script, library, metadata, capsys):
    library.get(f"{URL}/api/folders/F1/contents", json=listing("ok"))
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == 0
    assert post_requests(library) == [] and capsys.readouterr() == ("", "")


def test_load_data_dry_run_sends_nothing(script, library, metadata, capsys):
    assert script(load_data_with_metadata.main, "-n", KEY, URL, metadata, "New") == 0
    assert post_requests(library) == [] and capsys.readouterr() == (f"Loading {metadata}/a.bed\n", "")


def test_load_data_refuses_an_ambiguous_library_name(script, library, metadata, capsys):
    library.get(f"{URL}/api/libraries", json=[{"id": id, "name": "There", "root_folder_id": "F1"} for id in ("l1", "l2")])
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == FAILED
    assert reports_error(capsys, "l1, l2") and post_requests(library) == []


@pytest.mark.parametrize("user, configuration, words", [
    ({"id": "u", "is_admin": False}, {"allow_library_path_paste": True}, "admin_users names"),
    ({"id": "u", "is_admin": True}, {"allow_library_path_paste": False}, "allow_path_paste: true in galaxy.yml")])
def test_load_data_needs_a_server_that_takes_paths(script, library, metadata, capsys, user, configuration, words):
    library.get(f"{URL}/api/users/current", json=user)
    library.get(f"{URL}/api/configuration", json=configuration)
    assert script(load_data_with_metadata.main, KEY, URL, metadata, "There") == FAILED
    assert reports_error(capsys, words, "administrator") and post_requests(library) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"mark": "no uuid"}', '{"mark": 5}'])
def test_load_data_with_a_bad_companion_sends_nothing(script, library, metadata, capsys, text):
    (metadata / "a.bed.json").write_text(text)
    assert script(load_data_with_metadata.main, "--uuid_field=mark", KEY, URL, metadata, "There") == USAGE
    assert reports_error(capsys, "a.bed.json") and library.call_count == 0


# ---------------------------------------------------------------------------------------------- fetch_to_library

@pytest.fixture
def fetches(requests_mock):
    """An administrator's Galaxy that creates histories and has one library folder."""
    serve_library(requests_mock)
    requests_mock.get(f"{URL}/api/libraries", json=[])
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "e", "is_admin": True})
    requests_mock.get(f"{URL}/api/folders/F1/contents", json=listing())
    requests_mock.post(f"{URL}/api/histories", json={"id": "h"})
    requests_mock.delete(f"{URL}/api/histories/h", json={})
    return requests_mock


def test_fetch_to_library_sends_the_target_and_prints_the_answer(script, fetches, requests_mock, yaml, capsys):
    requests_mock.post(f"{URL}/api/tools/fetch", json={"outputs": [], "jobs": [{"id": "j"}]})
    text = TARGET.replace("Genomes}", "Genomes, description: 2026-11-23}")
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(text)) == 0
    assert post_requests(requests_mock)[1] == ("/api/tools/fetch", {"history_id": "h", "targets": [{
        "destination": {"type": "library", "name": "Genomes", "description": "2026-11-23"},
        "items": [{"src": "pasted", "paste_content": "x", "name": "y"}]}]})
    output = capsys.readouterr()
    assert json.loads(output.out) == {"outputs": [], "jobs": [{"id": "j"}]} and output.err == ""


def test_fetch_to_library_says_that_there_is_one_of_that_name_and_makes_another(script, fetches, yaml, capsys):
    fetches.post(f"{URL}/api/tools/fetch", json={"outputs": [], "jobs": [{"id": "j"}]})
    fetches.get(f"{URL}/api/libraries", json=[{"id": "l1", "name": "Genomes"}, {"id": "l2", "name": "genomes"}])
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(TARGET)) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["jobs"] == [{"id": "j"}]
    assert output.err.endswith(": warning: a library is named 'Genomes' already (l1): this makes another one of that name; "
                               "--into fills the one that is there\n")
    fetches.get(f"{URL}/api/libraries", status_code=403, json={"err_msg": "no", "err_code": 0})
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(TARGET)) == 0
    assert capsys.readouterr().err == ""


def test_fetch_to_library_dry_run_sends_nothing(script, requests_mock, yaml, capsys):
    assert script(fetch_to_library.main, "-n", "--url", URL, "--api", KEY, yaml(TARGET)) == 0
    assert json.loads(capsys.readouterr().out)["payload"]["targets"][0]["destination"]["name"] == "Genomes"
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("text, words", [
    ("a: 1\nb: }", "not YAML, line 2"), ("- a", "expected a mapping with destination"),
    ("", "expected a mapping with destination"),
    ("items: [{src: url}]", "it has no destination"), ("destination: library\nitems: [{src: url}]", "it has no destination"),
    ("destination: {type: library}", "it has no list of items"),
    ("destination: {type: library}\nitems: {name: x}", "it has no list of items")])
def test_fetch_to_library_refuses_other_files(script, requests_mock, yaml, capsys, text, words):
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(text)) == USAGE
    assert reports_error(capsys, words) and requests_mock.call_count == 0


INTO_A_FOLDER = TARGET.replace("{type: library, name: Genomes}", "{type: library_folder, library_folder_id: '1'}")


@pytest.mark.parametrize("text", [TARGET, INTO_A_FOLDER])
@pytest.mark.parametrize("answer, words, deleted", [(FORBIDDEN, "No rights", 1), ({"status_code": 504}, "look before", 0)])
def test_fetch_to_library_deletes_its_history_if_refused(script, fetches, yaml, capsys, text, answer, words, deleted):
    fetches.post(f"{URL}/api/tools/fetch", **answer)
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(text)) != 0
    assert reports_error(capsys, words)
    assert len([request for request in fetches.request_history if request.method == "DELETE"]) == deleted


def test_fetch_to_library_needs_permission_for_the_folder(script, fetches, yaml, capsys):
    answer = listing()
    answer["metadata"]["can_add_library_item"] = False
    fetches.get(f"{URL}/api/folders/F1/contents", json=answer)
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(INTO_A_FOLDER)) == FAILED
    assert reports_error(capsys, "may not add to folder F1") and post_requests(fetches) == []


def test_fetch_to_library_needs_an_administrator_for_a_new_library(script, fetches, yaml, capsys):
    fetches.get(f"{URL}/api/users/current", json={"id": "u", "email": "e", "is_admin": False})
    assert script(fetch_to_library.main, "-u", URL, "-a", KEY, yaml(TARGET)) == FAILED
    assert reports_error(capsys, "making a library needs an administrator's key", "admin_users")
    assert post_requests(fetches) == []
