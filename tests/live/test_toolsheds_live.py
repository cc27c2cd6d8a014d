"""The scripts for Tool Shed repositories with a real Tool Shed and the repository of demo/; then Galaxy is asked."""
import json
import secrets
import sqlite3
import subprocess
from contextlib import closing
from types import SimpleNamespace

import pytest
import requests

from common import Galaxy

from .conftest import become, uninstall_tally


@pytest.fixture
def tally(admin, tool_shed, home):
    """The repository of demo/ in the Tool Shed: its two revisions, a command line for it, what Galaxy has of it."""
    def records():
        return {one["changeset_revision"]: one for one in admin.look("tool_shed_repositories", name="tally")
                if one["tool_shed"] == tool_shed.split("://")[1]}

    def tools():
        """The tools of it that Galaxy has loaded: the name of the section of the panel by version."""
        return {tool["version"]: tool["panel_section_name"] for tool in admin.look("tools", in_panel="false")
                if tool["id"].startswith(f"{tool_shed.split('://')[1]}/repos/demo/tally/")}

    revisions = requests.get(f"{tool_shed}/api/repositories/get_ordered_installable_revisions",
                             params={"owner": "demo", "name": "tally"}, timeout=60).json()
    assert len(revisions) == 2
    return SimpleNamespace(
        old=revisions[0], new=revisions[1], records=records, tools=tools,
        line=["-u", tool_shed, "-a", admin.key, "-l", admin.url, "-n", "tally", "-o", "demo"],
        files=lambda revision: list((home / "data" / "shed_tools").glob(f"*/repos/demo/tally/{revision}/tally/tally.xml")))


def ran(person, *line):
    ended = person.run(*line)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert ended.stdout.startswith("Response\n--------\n")
    return ended.stdout


def test_install_at_a_revision_the_latest_what_is_there_and_what_was_deactivated(admin, tally):
    uninstall_tally(admin)
    section = f"Tables {secrets.token_hex(3)}"
    shown = ran(admin, "install_tool_shed_repositories.py", *tally.line, "-r", tally.old,
                "--panel-section-name", section)
    assert f"  changeset_revision: {tally.old}\n" in shown
    assert tally.records()[tally.old]["status"] == "Installed"
    become(tally.tools, {"0.1": section})

    ran(admin, "install_tool_shed_repositories.py", *tally.line, "--panel-section-id", "filter")
    assert tally.records()[tally.new]["status"] == "Installed"
    become(tally.tools, {"0.1": section, "0.2": "Filter and Sort"})

    again = ran(admin, "install_tool_shed_repositories.py", *tally.line)
    assert f"revision {tally.new}, is installed already" in again

    # Galaxy itself would now call it installed, and not load its tool.
    admin.asked("DELETE", f"tool_shed_repositories/{tally.records()[tally.old]['id']}?remove_from_disk=false")
    assert tally.records()[tally.old]["status"] == "Deactivated"
    become(tally.tools, {"0.2": "Filter and Sort"})
    ran(admin, "install_tool_shed_repositories.py", *tally.line, "--revision", tally.old)
    assert tally.records()[tally.old]["status"] == "Installed"
    become(tally.tools, {"0.1": "", "0.2": "Filter and Sort"})

    again = ran(admin, "install_tool_shed_repositories.py", *tally.line, "--panel-section-name=Another", "--dry-run")
    assert f"revision {tally.new}, is installed already; its tools stay where they are" in again and "POST" not in again

    # The first revision holds no workflow; and the old script took the Tool Shed's address without its scheme, too.
    bare = [word.removeprefix("http://") if option == "-u" else word for option, word in zip(["", *tally.line], tally.line)]
    none = admin.run("import_workflows_from_installed_tool_shed_repository.py", *bare, "-r", tally.old)
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")
    ran(admin, "repair_tool_shed_repository.py", *bare, "-r", tally.old)
    assert tally.records()[tally.old]["status"] == "Installed"


@pytest.fixture
def installed(admin, tally):
    """`tally` with its latest revision installed."""
    ran(admin, "install_tool_shed_repositories.py", *tally.line, "--panel-section-id", "filter")
    return tally


def test_repair_keeps_the_section_and_brings_back_files_that_were_lost(admin, installed):
    [file] = installed.files(installed.new)
    content, workflow = file.read_text(), file.with_name("tally_months.ga")
    section = installed.tools()["0.2"]
    workflow.unlink()
    ran(admin, "repair_tool_shed_repository.py", *installed.line, "-r", installed.new)
    assert workflow.exists()
    become(lambda: installed.tools().get("0.2"), section)

    file.unlink()
    become(lambda: installed.tools().get("0.2"), None)
    ran(admin, "repair_tool_shed_repository.py", *installed.line, "-r", installed.new,
        "--panel-section-id", "filter")
    assert file.read_text() == content
    become(lambda: installed.tools().get("0.2"), "Filter and Sort")


def test_reset_metadata_reads_the_tools_anew(admin, home, installed):
    line = ["reset_metadata_on_installed_repositories.py", "-a", admin.key, "-u", admin.url]
    assert "Successfully reset metadata on repository tally owned by demo" in ran(admin, *line)

    [file] = installed.files(installed.new)
    content = file.read_text()
    file.write_text(content.replace('name="Tally"', 'name="Renamed"'))
    assert names_in_metadata(home, installed) == ["Tally"]
    ran(admin, *line)
    assert names_in_metadata(home, installed) == ["Renamed"]
    file.write_text(content)
    ran(admin, *line)
    assert names_in_metadata(home, installed) == ["Tally"]


def names_in_metadata(home, tally):
    """The names of the repository's tools as Galaxy has them in its database; no address of its API shows them."""
    where = f"from tool_shed_repository where changeset_revision = '{tally.new}' and not deleted"
    if (home / "database").exists():        # PostgreSQL's
        metadata = subprocess.run(["psql", f"--host={home}/database", "--username=galaxy", "--no-align", "--tuples-only",
                                   "--command", f"select convert_from(metadata, 'UTF8') {where}", "galaxy"],
                                  check=True, capture_output=True, text=True).stdout
    else:
        with closing(sqlite3.connect(f"file:{home}/data/universe.sqlite?mode=ro", uri=True)) as database:
            [(metadata,)] = database.execute(f"select metadata {where}")
    return [tool["name"] for tool in json.loads(metadata)["tools"]]


def test_its_workflow_is_imported_and_runs_with_its_tool(person, installed, weather):
    line = [*installed.line, "-r", installed.new]
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


def test_refused(person, admin, tally):
    before = tally.records()

    def refused(script, *line, words):
        ended = admin.run(script, *line)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended
        assert words in ended.stderr and admin.key not in ended.stderr
    install, repair = "install_tool_shed_repositories.py", "repair_tool_shed_repository.py"
    workflows = "import_workflows_from_installed_tool_shed_repository.py"

    def but(option, value):
        return [value if before == option else word for before, word in zip(["", *tally.line], tally.line)]

    refused(install, *but("-n", "nosuch"), words="nosuch")
    refused(install, *but("-o", "nobody"), words="nobody")
    refused(install, *tally.line, "--panel-section-id=nosuch", words="no section")
    refused(install, *tally.line, "-r", "0123456789ab", words=f"0123456789ab that can be installed, only {tally.old}, ")
    refused(install, *but("-u", "http://127.0.0.1:9"), words="tool_sheds_config_file")
    refused(repair, *tally.line, "-r", "0123456789ab", words="is not installed")
    refused(workflows, *tally.line, "-r", "0123456789ab", words="is not installed")
    for script, more in ((install, []), (repair, ["-r", tally.old])):
        refused(script, *but("-a", person.key), *more, words="needs an administrator's key")
    refused("reset_metadata_on_installed_repositories.py", "-a", person.key, "-u", person.url,
            words="needs an administrator's key")
    assert tally.records() == before
