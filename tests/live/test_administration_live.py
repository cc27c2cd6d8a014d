"""The crontab of docs/administration.md, run as it stands there, twice, with other paths, hosts and names only."""
import re
import secrets
from types import SimpleNamespace

import pytest

from .conftest import ROOT, Person
from .test_cron_and_sequencer_live import blocks, place, silent

__all__ = ["place"]     # a fixture
[CRONTAB] = blocks((ROOT / "docs" / "administration.md").read_text("utf-8"), "crontab")
LINES = re.findall(r"^(?:[0-9*/,-]+ +){4}[0-9*/,-]+ +((\w+\.py).*)$", CRONTAB, re.MULTILINE)
# What prints what there is, each time; of the others each has something to do the first time, unless nothing is so old.
LISTS = {"user_list.py", "job_list.py", "disk_usage.py", "tool_outdated.py"}
NOTHING_TO_DO = {"history_expire.py", "dataset_purge.py", "queue_check.py", "server_check.py"}


@pytest.fixture
def week(admin, place):
    """The files that the crontab names, and the library Core, in the places of theirs; `ours(line)`."""
    mark = secrets.token_hex(4)
    email, group, core = f"week-{mark}@example.org", f"week {mark}", f"Core {mark}"
    home = place.root / "home" / "me" / "week"
    home.mkdir()
    person, library = Person(admin), admin.asked("POST", "libraries", json={"name": core})
    for name, text in {"users.csv": f"email,groups\n{email},{group}\n",
                       "groups.csv": f"group,users\n{group},{email};{person.email}\n",
                       "quotas.csv": f"name,amount,groups\n{group},50 GB,{group}\n",
                       "libraries.csv": f"library,path,add\n{core},,{person.email}\n",
                       "references.yml": f"destination: {{type: library, name: {core} references}}\n"
                       "items: [{src: pasted, paste_content: x, name: x.txt, ext: txt}]\n"}.items():
        (home / name).write_text(text)
    (place.data / "runs" / "12").mkdir()
    (place.data / "runs" / "12" / "b.txt").write_text("b")
    (place.root / "var" / "lib" / "galaxy-week").mkdir()
    yield SimpleNamespace(ours=lambda line: place.ours(line, Core=f"'{core}'"), group=group, library=library["id"])
    for kind, name, field in (("quotas", group, "name"), ("groups", group, "name"), ("users", email, "email")):
        for one in admin.look(kind):
            if one[field] == name:
                admin.asked("DELETE", f"{kind}/{one['id']}")


def test_each_line_of_the_week_and_its_second_run_is_silent(admin, place, week):
    assert len(LINES) == len(re.findall(r"\.py ", CRONTAB)) >= 8
    for line, script in LINES:
        ended = place.shell(week.ours(line))
        assert (ended.returncode, ended.stderr) == (0, ""), (line, ended)
        if script not in LISTS:
            assert bool(ended.stdout) is (script not in NOTHING_TO_DO), (line, ended)
            silent(place.shell(week.ours(line)), 0)
    assert (place.data / "copy" / "runs" / "12" / "b.txt").read_text() == "b"
    [group] = [one for one in admin.look("groups") if one["name"] == week.group]
    assert len(admin.look(f"groups/{group['id']}/users")) == 2
    assert [one["name"] for one in admin.look("quotas") if one["name"] == week.group] == [week.group]
    rights = admin.look(f"libraries/{week.library}/permissions")
    assert len(rights["add_library_item_role_list"]) == 1
