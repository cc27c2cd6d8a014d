"""The crontab of docs/administration.md, run as it stands there, twice, with other paths, hosts and names only."""
import re
import secrets
from types import SimpleNamespace

import pytest

from .conftest import ROOT, Person
from .test_cron_and_sequencer_live import blocks, place, silent, wrapper
from .test_tool_install_live import Batch

__all__ = ["place"]     # a fixture
[CRONTAB] = blocks((ROOT / "docs" / "administration.md").read_text("utf-8"), "crontab")
LINES = re.findall(r"^(?:[0-9*/,-]+ +){4}[0-9*/,-]+ +((\S+).*)$", CRONTAB, re.MULTILINE)
# What prints what there is, each time; of the others each has something to do the first time, unless nothing is so old.
LISTS = {"user_list.py", "job_list.py", "disk_usage.py", "tool_outdated.py"}
CHECKS = {"queue_check.py": {0, 1, 2}}      # whatever others' jobs are like
NOTHING_TO_DO = {"history_expire.py", "find", "dataset_purge.py", "queue_check.py", "server_check.py"}


@pytest.fixture
def week(admin, place, home, tool_shed):
    """The files that the crontab names, the library Core, and a mail to a user, in the places of theirs; `ours(line)`."""
    mark = secrets.token_hex(4)
    email, group, core = f"week-{mark}@example.org", f"week {mark}", f"Core {mark}"
    folder = place.root / "home" / "me" / "week"
    folder.mkdir()
    person, library = Person(admin), admin.asked("POST", "libraries", json={"name": core})
    for name, text in {"users.csv": f"email,groups\n{email},{group}\n",
                       "groups.csv": f"group,users\n{group},{email};{person.email}\n",
                       "quotas.csv": f"name,amount,groups\n{group},50 GB,{group}\n",
                       "libraries.csv": f"library,path,add\n{core},,{person.email}\n",
                       "references.yml": f"destination: {{type: library, name: {core} references}}\n"
                       "items: [{src: pasted, paste_content: x, name: x.txt, ext: txt}]\n"}.items():
        (folder / name).write_text(text)
    (place.data / "runs" / "12").mkdir()
    (place.data / "runs" / "12" / "b.txt").write_text("b")
    mails = place.root / "var" / "lib" / "galaxy-week" / "mails"
    mails.mkdir(parents=True)
    (mails / "1.eml").write_text("To: you\n")
    wrapper(place.root / "bin" / "sendmail", f"cat >> {place.root}/sent")
    tools = Batch(admin, home, tool_shed, folder, "of_the_week", 1)     # writes tools.yml
    yield SimpleNamespace(ours=lambda line: place.ours(line, Core=f"'{core}'"), group=group, library=library["id"])
    tools.uninstall()
    for kind, name, field in (("quotas", group, "name"), ("groups", group, "name"), ("users", email, "email")):
        for one in admin.look(kind):
            if one[field] == name:
                admin.asked("DELETE", f"{kind}/{one['id']}")


def test_each_line_of_the_week_and_its_second_run_is_silent(admin, place, week):
    assert len(LINES) == sum(line[:1].isdigit() or line[:1] == "*" for line in CRONTAB.splitlines()) >= 15
    for line, script in LINES:
        ended = place.shell(week.ours(line))
        assert ended.returncode in CHECKS.get(script, {0}) and ended.stderr == "", (line, ended)
        if script not in LISTS:
            assert bool(ended.stdout) is (script not in NOTHING_TO_DO), (line, ended)
            silent(place.shell(week.ours(line)), *CHECKS.get(script, {0}))
    assert (place.data / "copy" / "runs" / "12" / "b.txt").read_text() == "b"
    [group] = [one for one in admin.look("groups") if one["name"] == week.group]
    assert len(admin.look(f"groups/{group['id']}/users")) == 2
    assert [one["name"] for one in admin.look("quotas") if one["name"] == week.group] == [week.group]
    rights = admin.look(f"libraries/{week.library}/permissions")
    assert len(rights["add_library_item_role_list"]) == 1
    assert (place.root / "sent").read_text() == "To: you\n"
    figures = (place.root / "var" / "lib" / "galaxy-week" / "queue.prom").read_text()
    assert f'\ngalaxy_queue_up{{server="{admin.url}"}} 1\n' in figures
