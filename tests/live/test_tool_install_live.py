"""Lists of tools installed from a real Tool Shed, once each, whatever is cut and killed; updated, uninstalled, written."""
import json
import re
import shlex
import subprocess
import time
from collections import Counter

import pytest
import requests
import yaml
from fakes.roads import Road

from galaxy_api_scripts.local_server.configuration import ADMINISTRATOR
from galaxy_api_scripts.local_server.home import home_secrets
from galaxy_api_scripts.tools.toolshed import publish_repository

from .conftest import become, uninstall_tally
from .processes import begun, kill

TOOL = """<tool id="{name}" name="{name}" version="{version}" profile="22.01">
    <command>cat '$input' > '$output'</command>
    <inputs><param name="input" type="data" format="data"/></inputs>
    <outputs><data name="output" format="txt"/></outputs>
</tool>
"""
SECTION = "Tools of a list"


class CuttingRoad(Road):
    """A road on which every third answer is lost, once Galaxy has acted; `posts` are the repositories that it was asked to
    install."""

    def __init__(self, server):
        self.count, self.posts = 0, []
        super().__init__(server)

    def lose(self, asked, answer):
        if asked.method == "POST":
            self.posts.append(json.loads(asked.body)["name"])
        self.count += 1
        return self.count % 3 == 0


def published(home, tool_shed, folder, names, versions=("0.1",)):
    """Publish a repository with one small tool for each of the names in the Tool Shed, unless it has that."""
    for name in names:
        for version in versions:
            (folder / name / version).mkdir(parents=True)
            (folder / name / version / f"{name}.xml").write_text(TOOL.format(name=name, version=version))
        (folder / name / ".shed.yml").write_text(yaml.safe_dump({
            "name": name, "owner": "demo", "description": "A tool of a test", "long_description": "Copies its input.",
            "categories": ["Text Manipulation"]}))
    publish_repository(home_secrets(home)["bootstrap_key"], tool_shed, ADMINISTRATOR, *(folder / name for name in names))


class Batch:
    """Repositories of the Tool Shed called `{prefix}_00` and so on, their list, and what Galaxy has of them."""

    def __init__(self, admin, home, tool_shed, folder, prefix, count):
        self.admin, self.home, self.host = admin, home, tool_shed.split("://")[1]
        self.names = [f"{prefix}_{number:02}" for number in range(count)]
        published(home, tool_shed, folder, self.names)
        self.list = folder / "tools.yml"
        self.list.write_text(yaml.safe_dump({"tool_shed_url": tool_shed, "install_resolver_dependencies": False, "tools": [
            {"name": name, "owner": "demo", "tool_panel_section_label": SECTION} for name in self.names]}))
        self.uninstall()

    def records(self):
        return [one for one in self.admin.look("tool_shed_repositories", owner="demo") if one["name"] in self.names]

    def tools(self):
        return Counter(tool["id"].split("/")[3] for tool in self.admin.look("tools", in_panel="false")
                       if tool["id"].startswith(f"{self.host}/repos/demo/") and tool["panel_section_name"] == SECTION
                       and tool["id"].split("/")[3] in self.names)

    def lines(self):
        """How often Galaxy's file of installed tools has the tool of each."""
        text = (self.home / "data" / "config" / "shed_tool_conf.xml").read_text()
        return Counter(name for name in re.findall(r'guid="[^"]*/repos/demo/([^/"]*)/', text) if name in self.names)

    def installed_once(self):
        """Whether each is installed, once, with its tool in its section."""
        become(self.tools, Counter(self.names))
        return (Counter(one["name"] for one in self.records()) == Counter(self.names) == self.lines()
                and {one["status"] for one in self.records()} == {"Installed"})

    def uninstall(self):
        for record in self.records():
            if record["status"] != "Uninstalled":
                self.admin.asked("DELETE", f"tool_shed_repositories/{record['id']}")


def install_cut_and_killed(batch, state, instants, kills, longest):
    """Install a batch over a road that loses every third answer, killed again and again."""
    road, began = CuttingRoad(batch.admin.url), time.monotonic()
    line = ["tool_install.py", "-q", batch.admin.key, road.url, batch.list]
    killed = 0
    for _ in range(kills):
        process = begun(batch.admin, *line, **state)
        until = time.monotonic() + instants.uniform(0.5, longest)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        killed += process.poll() is None and kill(process)
    process = begun(batch.admin, *line, stderr=subprocess.PIPE, **state)
    told = process.communicate(timeout=3600)[1]
    road.close()
    assert (process.returncode, told) == (0, "")
    print(f"{len(batch.names)} repositories, {killed} kills, every third of {road.count} answers cut, {len(road.posts)} "
          f"POSTs: {time.monotonic() - began:.0f} s")
    assert Counter(road.posts) == Counter(batch.names) and batch.installed_once()
    again = batch.admin.run(*line[:3], batch.admin.url, *line[4:], **state)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_list_cut_and_killed_is_installed_once(admin, home, tool_shed, tmp_path, state, instants):
    batch = Batch(admin, home, tool_shed, tmp_path, "listed", 4)
    install_cut_and_killed(batch, state, instants, 1, 5)
    batch.uninstall()


@pytest.mark.soak
def test_forty_repositories_cut_and_killed_five_times(admin, home, tool_shed, tmp_path, state, instants):
    batch = Batch(admin, home, tool_shed, tmp_path, "soaked", 40)
    install_cut_and_killed(batch, state, instants, 5, 20)
    batch.uninstall()


def ran(person, *line, **extra):
    """What a script printed that did its job."""
    ended = person.run(*line, **extra)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


def with_gets_alone(admin, script, *words):
    """What a dry run printed, over a road that tells whether it has sent nothing but GETs."""
    with Road(admin.url) as road:
        shown = ran(admin, script, "--dry-run", admin.key, road.url, *words)
        assert {one.method for one in road.asked} == {"GET"}
    return shown


def test_from_a_list_to_the_latest_and_off_again(admin, person, tool_shed, tmp_path, state):
    uninstall_tally(admin)
    host, me = tool_shed.split("://")[1], (admin.key, admin.url)
    old, new = requests.get(f"{tool_shed}/api/repositories/get_ordered_installable_revisions",
                            params={"owner": "demo", "name": "tally"}, timeout=60).json()
    (tmp_path / "tools.yml").write_text(f"""
tool_shed_url: {tool_shed}
install_resolver_dependencies: no
tools: [{{name: tally, owner: demo, revisions: [{old}], tool_panel_section_label: Filter and Sort}}]
""")
    step = {"id": 0, "type": "tool", "tool_id": f"{host}/repos/demo/tally/tally/0.1", "tool_version": "0.1", "name": "Tally",
            "input_connections": {}, "tool_state": "{}", "inputs": [], "outputs": [], "position": {"left": 0, "top": 0}}
    (tmp_path / "w.ga").write_text(json.dumps({"a_galaxy_workflow": "true", "name": "Tally", "steps": {"0": step}}))
    for script, words in (("tool_install.py", [tmp_path / "tools.yml"]), ("tool_update.py", []),
                          ("tool_uninstall.py", ["demo/tally"])):
        ended = person.run(script, person.key, person.url, *words)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert "needs an administrator's key" in ended.stderr

    row = f"install\tdemo\ttally\t{old}\tFilter and Sort\n"
    assert with_gets_alone(admin, "tool_install.py", tmp_path / "tools.yml") == row
    assert ran(admin, "tool_install.py", *me, tmp_path / "tools.yml", **state) == row
    assert ran(admin, "tool_install.py", *me, tmp_path / "tools.yml", **state) == ""
    assert ran(admin, "tool_install.py", f"--workflow={tmp_path}/w.ga", *me, **state) == ""
    listed = ran(person, "tool_installed.py", person.key, person.url)
    assert {"name": "tally", "owner": "demo", "revisions": [old], "tool_panel_section_label": "Filter and Sort",
            "tool_shed_url": f"{tool_shed}/"} in yaml.safe_load(listed)["tools"]
    assert ran(admin, "tool_install.py", *me, "-", stdin=listed, **state) == ""

    words = ["--format=value", "--fields=name,installed,latest", *me, "demo/tally"]
    assert ran(admin, "tool_outdated.py", *words) == f"tally\t{old}\t{new}\n"
    row = f"update\tdemo\ttally\t{new}\t{old}\tFilter and Sort\n"
    assert with_gets_alone(admin, "tool_update.py", "demo/tally") == row
    assert ran(admin, "tool_update.py", "--resolver-deps=no", *me, "demo/tally", **state) == row
    assert ran(admin, "tool_update.py", *me, "demo/tally", **state) == ran(admin, "tool_outdated.py", *words) == ""

    gone = [f"uninstall\tdemo\ttally\t{revision}\tFilter and Sort" for revision in (old, new)]
    assert with_gets_alone(admin, "tool_uninstall.py", "--all-revisions", "demo/tally").splitlines() == gone
    assert ran(admin, "tool_uninstall.py", "--all-revisions", *me, "demo/tally").splitlines() == gone
    assert ran(admin, "tool_uninstall.py", "--all-revisions", *me, "demo/tally") == ""

    # What is missing is told with the line that installs it.
    become(lambda: requests.get(f"{admin.url}/api/tools/{host}/repos/demo/tally/tally/0.1", headers={"x-api-key": admin.key},
                                timeout=60).status_code, 404)
    ended = admin.run("workflow_import.py", "--format=value", "--fields=id", *me, tmp_path / "w.ga")
    assert "is imported, but can't run" in ended.stderr, ended
    line = shlex.split(ended.stderr.splitlines()[-1])
    assert line == ["tool_install.py", f"--workflow={tmp_path}/w.ga", "-", "-"]
    shown = ran(admin, "workflow_show.py", *me, ended.stdout.strip())
    assert shown.splitlines()[-1] == f"tool_install.py - - {host}/repos/demo/tally/tally/0.1"
    keys = {"GALAXY_API_KEY": admin.key, "GALAXY_URL": admin.url, **state}
    assert ran(admin, *line, **keys) == f"install\tdemo\ttally\t{old}\t\n"
    assert "The server has all its tools." in ran(admin, "workflow_show.py", *me, ended.stdout.strip())
    admin.asked("DELETE", f"workflows/{ended.stdout.strip()}")
    uninstall_tally(admin)
