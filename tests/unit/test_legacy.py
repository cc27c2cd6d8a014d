"""Every file of Galaxy's own scripts/api/ has its row in docs/legacy.md, and every script that lives on exists."""
import re
import shlex
from pathlib import Path

import pytest

import create
import update

ROOT = Path(__file__).parents[2]
LEGACY = (ROOT / "docs" / "legacy.md").read_text()
ROWS = dict(re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", LEGACY, re.MULTILINE))

VERBS = ["display.py", "create.py", "update.py", "delete.py"]
LIVING = [
    "copy_hda_to_library_folder.py", "data_manager_example_execute.py", "example_watch_folder.py",
    "fetch_to_library.py", "filter_failed_datasets_from_collection.py", "history_create_history.py",
    "history_delete_history.py", "import_library_dataset_to_history.py",
    "import_workflows_from_installed_tool_shed_repository.py", "install_tool_shed_repositories.py",
    "library_create_folder.py", "library_create_library.py", "library_upload_dir.py",
    "library_upload_from_import_dir.py", "load_data_with_metadata.py", "repair_tool_shed_repository.py",
    "reset_metadata_on_installed_repositories.py", "search.py", "upload_to_history.py", "workflow_delete.py",
    "workflow_execute.py", "workflow_execute_parameters.py", "workflow_import.py",
    "workflow_import_from_file_rpark.py"
]
REPLACED = [
    "history_upload.py", "install_repository_tools.py",
    "install_repository_tools_into_existing_tool_panel_section.py",
    "install_repository_tools_into_new_tool_panel_section.py", "install_repository_with_repository_dependencies.py",
    "workflow_delete_workflow_rpark.py", "workflow_execute_rpark.py", "README", "fetch_to_library_example.yml"
]
RETIRED = [
    "form_create_from_xml.py", "request_type_create_from_xml.py", "requests_update_state.py",
    "sample_dataset_update_status.py", "sample_update_state.py", "sequencer_configuration_create.py",
    "sample_configurations/sample_tracking/request_form.xml",
    "sample_configurations/sample_tracking/request_type.xml", "sample_configurations/sample_tracking/sample_form.xml"
]


def test_every_original_file_has_its_row_in_legacy_md():
    assert len(VERBS + LIVING + REPLACED + RETIRED) + len(["common.py"]) == 47
    assert sorted(ROWS) == sorted(["common.py", *VERBS, *LIVING, *REPLACED, *RETIRED])
    assert {name: status for name, status in ROWS.items() if name in REPLACED} == dict.fromkeys(REPLACED, "replaced")
    assert {name: status for name, status in ROWS.items() if name in RETIRED} == dict.fromkeys(RETIRED, "retired")
    assert {ROWS[name] for name in [*VERBS, *LIVING, "common.py"]} == {"as it was", "adapted"}


@pytest.mark.parametrize("name", [*VERBS, *LIVING])
def test_every_script_that_lives_on_exists_and_is_in_the_readme(name):
    assert (ROOT / name if name in VERBS else ROOT / "scripts" / name).exists()
    catalogue = (ROOT / "README.md").read_text().partition("## Scripts")[2]
    assert re.search(rf"^\|[^|]*\|[^|]*`{name}`[^|]*\| \S", catalogue, re.MULTILINE)


def test_every_replacement_exists():
    section = LEGACY.partition("## Earlier names")[2].partition("\n## ")[0]
    named = re.findall(r"by `(\w+\.py)", section)
    assert len(named) >= 4 and [name for name in named if name not in LIVING] == []


# What the retired scripts sent, as the originals' code has it.
ORIGINAL_REQUESTS = [
    {"xml_text": "<form/>"},
    {"request_form_id": "ID", "sample_form_id": "ID", "sequencer_id": "ID", "xml_text": "<form/>", "role_ids": ["ID"]},
    {"update_type": "request_state"},
    {"update_type": "sample_state", "new_state": "STATE", "comment": "TEXT"},
    {"update_type": "sample_dataset_transfer_status", "sample_dataset_ids": ["ID"], "new_status": "STATUS",
     "error_msg": "TEXT"},
    {"xml_text": "<form/>"},
    {"xml_text": "<form/>"},
    {"name": "request_type_role_ID_ID_EMAIL name", "description": "request_type_role_ID_ID_EMAIL description",
     "user_ids": ["ID"]},
    {"request_form_id": "ID", "sample_form_id": "ID", "role_ids": ["ID"], "xml_text": "<form/>"},
]
RETIRED_LINES = re.findall(r"(?:`|^\$ )((?:create|update)\.py KEY .*?)(?:`|$)",
                           LEGACY.partition("## Retired")[2].partition("\n## ")[0], re.MULTILINE)


@pytest.mark.parametrize("line, sent", list(zip(RETIRED_LINES, ORIGINAL_REQUESTS)), ids=range(len(ORIGINAL_REQUESTS)))
def test_the_lines_for_retired_scripts_send_the_original_requests(script, requests_mock, tmp_path, monkeypatch, line, sent):
    assert len(RETIRED_LINES) == len(ORIGINAL_REQUESTS)
    monkeypatch.chdir(tmp_path)
    verb, key, url, *pairs = shlex.split(line)
    for name in re.findall(r"@=(\S+)", " ".join(pairs)):
        (tmp_path / name).write_text("<form/>")
    address = url.replace("BASE", "http://galaxy.test") if "BASE" in url else "http://galaxy.test/api/x"
    module, method = {"create.py": (create, "POST"), "update.py": (update, "PUT")}[verb]
    requests_mock.register_uri(method, address, json={"id": "1"})
    assert script(module.main, key, address, *pairs) == 0
    assert requests_mock.last_request.json() == sent
