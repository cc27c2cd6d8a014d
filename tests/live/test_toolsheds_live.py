"""The scripts for Tool Shed repositories with a real Tool Shed and the repository of demo/; then Galaxy is asked."""
import json
import secrets
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
import requests

from common import Galaxy, pauses


@pytest.fixture
def tally(administrator, tool_shed, home):
    """The repository of demo/ in the Tool Shed, nothing of it installed in Galaxy: its revisions, command line, records."""
    def records():
        return {one["changeset_revision"]: one for one in administrator.look("tool_shed_repositories", name="tally")
                if one["tool_shed"] == tool_shed.split("://")[1]}

    def tools():
        """The tools of it that Galaxy has loaded: the name of the section of the panel by version."""
        return {tool["version"]: tool["panel_section_name"] for tool in administrator.look("tools", in_panel="false")
                if tool["id"].startswith(f"{tool_shed.split('://')[1]}/repos/demo/tally/")}

    for record in records().values():
        if not record["uninstalled"]:
            administrator.asked("DELETE", f"tool_shed_repositories/{record['id']}")
    become(tools, {})
    revisions = requests.get(f"{tool_shed}/api/repositories/get_ordered_installable_revisions",
                             params={"owner": "demo", "name": "tally"}, timeout=60).json()
    assert len(revisions) == 2
    return SimpleNamespace(
        old=revisions[0], new=revisions[1], records=records, tools=tools,
        line=["-u", tool_shed, "-a", administrator.key, "-l", administrator.url, "-n", "tally", "-o", "demo"],
        files=lambda revision: list((home / "data" / "shed_tools").glob(f"*/repos/demo/tally/{revision}/tally/tally.xml")))


def become(look, wanted):
    """Galaxy loads its tools anew some time after each change: wait until `look()` gives `wanted`."""
    for _ in pauses(60, 0.2, 1):
        if look() == wanted:
            break
    assert look() == wanted


def ran(person, *line):
    ended = person.run(*line)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert ended.stdout.startswith("Response\n--------\n")
    return ended.stdout


def test_install_at_a_revision_into_a_new_section_then_the_latest_into_one_that_is_there(administrator, tally):
    section = f"Tables {secrets.token_hex(3)}"
    shown = ran(administrator, "install_tool_shed_repositories.py", *tally.line, "-r", tally.old,
                "--panel-section-name", section)
    assert f"  changeset_revision: {tally.old}\n" in shown
    assert tally.records()[tally.old]["status"] == "Installed"
    become(tally.tools, {"0.1": section})

    ran(administrator, "install_tool_shed_repositories.py", *tally.line, "--panel-section-id", "filter")
    assert tally.records()[tally.new]["status"] == "Installed"
    become(tally.tools, {"0.1": section, "0.2": "Filter and Sort"})

    again = ran(administrator, "install_tool_shed_repositories.py", *tally.line)
    assert f"revision {tally.new}, is installed already" in again


def test_install_of_what_was_only_deactivated(administrator, tally):
    ran(administrator, "install_tool_shed_repositories.py", *tally.line, "--revision", tally.old)
    record = tally.records()[tally.old]
    administrator.asked("DELETE", f"tool_shed_repositories/{record['id']}?remove_from_disk=false")
    assert tally.records()[tally.old]["status"] == "Deactivated"
    become(tally.tools, {})
    ran(administrator, "install_tool_shed_repositories.py", *tally.line, "--revision", tally.old)
    assert tally.records()[tally.old]["status"] == "Installed"
    become(tally.tools, {"0.1": ""})


def test_repair_keeps_the_section_and_brings_back_a_file_that_was_lost(administrator, tally):
    ran(administrator, "install_tool_shed_repositories.py", *tally.line, "--panel-section-id", "filter")
    become(tally.tools, {"0.2": "Filter and Sort"})
    [file] = tally.files(tally.new)
    content = file.read_text()
    file.write_text("half a to")
    ran(administrator, "repair_tool_shed_repository.py", *tally.line, "-r", tally.new)
    assert file.read_text() == content
    become(tally.tools, {"0.2": "Filter and Sort"})

    file.unlink()
    become(tally.tools, {})
    ran(administrator, "repair_tool_shed_repository.py", *tally.line, "-r", tally.new, "--panel-section-id", "filter")
    assert file.read_text() == content
    become(tally.tools, {"0.2": "Filter and Sort"})


def test_reset_metadata_reads_the_tools_anew(administrator, home, tally):
    ran(administrator, "install_tool_shed_repositories.py", *tally.line)
    line = ["reset_metadata_on_installed_repositories.py", "-a", administrator.key, "-u", administrator.url]
    assert "Successfully reset metadata on repository tally owned by demo" in ran(administrator, *line)

    [file] = tally.files(tally.new)
    content = file.read_text()
    file.write_text(content.replace('name="Tally"', 'name="Renamed"'))
    assert names_in_metadata(home, tally) == ["Tally"]
    ran(administrator, *line)
    assert names_in_metadata(home, tally) == ["Renamed"]
    file.write_text(content)
    ran(administrator, *line)
    assert names_in_metadata(home, tally) == ["Tally"]


def names_in_metadata(home, tally):
    """The names of the repository's tools as Galaxy has them in its database; no address of its API shows them."""
    with closing(sqlite3.connect(f"file:{home}/data/universe.sqlite?mode=ro", uri=True)) as database:
        [(metadata,)] = database.execute(
            "select metadata from tool_shed_repository where changeset_revision = ? and not deleted", [tally.new])
    return [tool["name"] for tool in json.loads(metadata)["tools"]]


def test_its_workflow_is_imported_and_runs_with_its_tool(person, administrator, tally, weather):
    ran(administrator, "install_tool_shed_repositories.py", *tally.line)
    line = [*tally.line, "-r", tally.new]
    line[line.index("-a") + 1] = person.key     # which needs no administrator
    before = {workflow["id"] for workflow in person.look("workflows")}
    ran(person, "import_workflows_from_installed_tool_shed_repository.py", *line)
    [imported] = [workflow for workflow in person.look("workflows") if workflow["id"] not in before]
    assert imported["name"] == "Tally of months"
    [tool] = {step["tool_id"] for step in person.look(f"workflows/{imported['id']}")["steps"].values()} - {None}
    assert tool.endswith("/repos/demo/tally/tally/0.2")

    run = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url, imported["id"],
                       "Tally", f"observations=hda={weather.dataset}")
    dataset = person.value("invocation_wait.py", "--format=value", "--fields=id", person.key, person.url, run)
    rows = Galaxy(person.key, person.url).request("GET", f"datasets/{dataset}/display").text.splitlines()
    assert rows[0].split("\t")[0] == "1" or int(rows[0].split("\t")[0]) >= int(rows[-1].split("\t")[0])
    assert sum(int(row.split("\t")[0]) for row in rows) == 366


def test_refused(person, administrator, tally, tool_shed):
    def refused(script, *line, words):
        ended = administrator.run(script, *line)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended
        assert words in ended.stderr and administrator.key not in ended.stderr
    install, repair = "install_tool_shed_repositories.py", "repair_tool_shed_repository.py"
    workflows = "import_workflows_from_installed_tool_shed_repository.py"

    def but(option, value):
        return [value if before == option else word for before, word in zip(["", *tally.line], tally.line)]

    refused(install, *but("-n", "nosuch"), words="nosuch")
    refused(install, *but("-o", "nobody"), words="nobody")
    refused(install, *tally.line, "-r", "0123456789ab", words="0123456789ab")
    refused(install, *but("-u", "http://127.0.0.1:9"), words="tool_sheds_config_file")
    refused(repair, *tally.line, "-r", "0123456789ab", words="is not installed")
    refused(workflows, *tally.line, "-r", "0123456789ab", words="is not installed")
    for script, more in ((install, []), (repair, ["-r", tally.old])):
        refused(script, *but("-a", person.key), *more, words="needs an administrator's key")
    refused("reset_metadata_on_installed_repositories.py", "-a", person.key, "-u", person.url,
            words="needs an administrator's key")
    assert not any(record["status"] == "Installed" for record in tally.records().values())
