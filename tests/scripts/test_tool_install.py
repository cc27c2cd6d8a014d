"""tool_install.py: what is asked for, once each, whatever is lost, killed or stuck; what is told and printed."""
import pytest
import tool_install
from fakes import KEY, URL
from fakes.sheds import NEW, OLD, Sheds

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE

LIST = f"""
tool_shed_url: http://shed.test:9009
tools:
- {{name: tally, owner: demo, revisions: [{OLD}, {NEW}], tool_panel_section_label: Filter and Sort}}
- {{name: count, owner: demo, tool_panel_section_label: New ones}}
- {{name: sum, owner: demo, tool_panel_section_id: mine}}
"""
DONE = (f"install\tdemo\ttally\t{OLD}\tFilter and Sort\ninstall\tdemo\ttally\t{NEW}\tFilter and Sort\n"
        "install\tdemo\tcount\t000000000002\tNew ones\ninstall\tdemo\tsum\t000000000004\tmine\n")


@pytest.fixture
def sheds(requests_mock, clock):
    sheds = Sheds(requests_mock)
    sheds.offered.update({("demo", "count"): ["000000000001", "000000000002"], ("demo", "sum"): ["000000000004"]})
    return sheds


@pytest.fixture
def run(script, sheds, capsys, tmp_path):
    """`run(*words)`: the script with a list of four revisions, or with other words; its status, what it printed and told."""
    (tmp_path / "tools.yml").write_text(LIST)

    def call(*words):
        targets = [] if any("/" in word for word in words) else [tmp_path / "tools.yml"]
        status = script(tool_install.main, "--at-once=1", *(word for word in words if word[0] == "-"), KEY, URL, *targets,
                        *(word for word in words if word[0] != "-"))
        output = capsys.readouterr()
        assert KEY not in output.out + output.err
        return status, output.out, output.err
    return call


TALLY = f"shed.test:9009/repos/demo/tally/{NEW}"


def test_a_list_is_installed_and_a_second_run_does_nothing(run, sheds):
    assert run("--dry-run") == (0, DONE, "") and sheds.writes() == []
    assert run() == (0, DONE, "")
    assert [one.get("tool_panel_section_id") for one in sheds.posts] == ["filter", "filter", None, "mine"]
    assert [one.get("new_tool_panel_section_label") for one in sheds.posts] == [None, None, "New ones", None]
    assert sheds.posts[2] == {
        "tool_shed_url": "http://shed.test:9009", "name": "count", "owner": "demo", "changeset_revision": "000000000002",
        "new_tool_panel_section_label": "New ones", "install_repository_dependencies": True,
        "install_resolver_dependencies": True, "install_tool_dependencies": False}
    sheds.mock.reset_mock()
    assert run() == (0, "", "") and sheds.writes() == []
    # What is named and installed needs no look into the Tool Shed.
    assert sorted(one.qs["name"][0] for one in sheds.mock.request_history if one.hostname == "shed.test") == ["count", "sum"]


def test_several_at_once_are_installed_once_each(script, sheds, capsys, tmp_path):
    (tmp_path / "tools.yml").write_text(LIST)
    assert script(tool_install.main, "--at-once=4", KEY, URL, tmp_path / "tools.yml") == 0
    assert sorted(capsys.readouterr().out.splitlines()) == sorted(DONE.splitlines()) and len(sheds.posts) == 4


def test_options_choose_dependencies_over_the_list(run, sheds):
    assert run("--repository-deps=no", "--resolver-deps=No", "--tool-deps=yes", TALLY)[0] == 0
    chosen = [sheds.posts[0][f"install_{one}_dependencies"] for one in ("repository", "resolver", "tool")]
    assert chosen == [False, False, True]


def test_a_key_without_the_right_is_told_before_anything_is_sent(run, sheds):
    sheds.mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    status, out, err = run()
    assert (status, out, err.count("\n")) == (FAILED, "", 1) and "installing tools needs an administrator's key" in err
    assert sheds.writes() == []


def test_a_tool_shed_that_galaxy_does_not_know(run, sheds):
    status, out, err = run("other.test/repos/demo/tally")
    assert (status, out) == (FAILED, "") and "installs nothing from the Tool Shed other.test" in err
    assert "tool_sheds_config_file" in err and sheds.writes() == []


@pytest.mark.parametrize("words", [["--at-once=11", TALLY], ["--at-once=0", TALLY], ["--tool-deps=maybe", TALLY], ["a/b/c"],
                                   ["--workflow=nosuch.ga", TALLY]])
def test_bad_lines(run, sheds, words):
    assert run(*words)[0] == USAGE and sheds.mock.call_count == 0


def test_nothing_named_is_a_bad_line(script, capsys):
    assert script(tool_install.main, KEY, URL) == USAGE
    assert "what is to be installed?" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ what can't be done

def test_one_that_can_not_be_installed_is_told_and_the_others_are_installed(run, sheds):
    del sheds.offered["demo", "count"]
    sheds.sections.pop("mine")
    status, out, err = run()
    assert status == SOME_FAILED and out == "".join(DONE.splitlines(keepends=True)[:2]) and err.count("\n") == 2
    assert "tools.yml, entry 2 (count): " in err and "No repository named count found" in err
    assert "the tool panel has no section with the id 'mine', only filter; tool_panel_section_label makes one" in err


def test_a_revision_that_nobody_has(run, sheds):
    status, out, err = run("shed.test:9009/repos/demo/tally/ffffffffffff")
    assert (status, out) == (FAILED, "") and f"no revision ffffffffffff that can be installed, only {OLD}, {NEW}" in err


def test_a_revision_that_another_has_replaced_is_installed_by_that_one(run, sheds):
    line = "shed.test:9009/repos/demo/tally/000000000000"
    assert run(line)[1] == f"install\tdemo\ttally\t{OLD}\t\n"
    assert run(line) == (0, "", "") and len(sheds.posts) == 1


def test_a_tools_id_names_the_latest_revision_that_has_it(run, sheds):
    assert run(sheds.tool("tally", OLD))[1] == f"install\tdemo\ttally\t{OLD}\t\n"
    status, out, err = run("shed.test:9009/repos/demo/tally/tally/7")
    assert status == FAILED and "has no revision with the tool shed.test:9009/repos/demo/tally/tally/7" in err


def test_an_installation_that_failed_is_told_and_repaired_only_if_asked(run, sheds):
    sheds.ends["tally"] = "Error", "no space"
    for _ in range(2):
        status, out, err = run(TALLY)
        assert (status, out) == (FAILED, "") and "is not installed but Error: no space; --repair installs it again" in err
    assert len(sheds.posts) == 1
    sheds.ends.clear()
    assert run("--repair", "--dry-run", TALLY) == (0, f"repair\tdemo\ttally\t{NEW}\t\n", "") and len(sheds.posts) == 1
    assert run("--repair", TALLY) == (0, f"repair\tdemo\ttally\t{NEW}\t\n", "")
    assert len(sheds.posts) == 2 and len(sheds.deleted) == 1 and sheds.installed() == [("tally", NEW)]


def test_what_was_deactivated_is_uninstalled_first(run, sheds):
    sheds.add("Deactivated")
    assert run(TALLY)[0] == 0 and sheds.writes() == ["DELETE", "POST"]


def test_what_a_repository_needs_has_a_line_of_its_own_and_comes_first(run, sheds):
    sheds.needs["sum"] = [("count", "000000000002")]
    sheds.offered["demo", "count"] = ["000000000001", "000000000002"]
    status, out, err = run()
    assert (status, err) == (0, "")
    assert [line.split("\t")[2] for line in out.splitlines()] == ["sum", "count", "tally", "tally"]
    assert [one["name"] for one in sheds.posts] == ["sum", "tally", "tally"]
    assert run() == (0, "", "")


def test_what_a_repository_needs_and_failed_is_told(run, sheds):
    sheds.needs["sum"], sheds.ends["count"] = [("count", "000000000002")], ("Error", "no space")
    status, out, err = run("shed.test:9009/repos/demo/sum")
    assert status == FAILED and "sum, revision 000000000004: demo/count, which it needs, is not installed but Error" in err


# ------------------------------------------------------------------------------------------- lost, killed, slow and stuck

def test_an_answer_that_is_lost_is_looked_for_and_nothing_is_sent_twice(run, sheds):
    sheds.loses = lambda number: number % 3 == 2
    assert run() == (0, DONE, "") and len(sheds.posts) == 4


def test_a_proxys_timeout_is_waited_out(run, sheds, clock):
    sheds.looks = 8
    status, out, err = run(TALLY)
    assert (status, out, err) == (0, f"install\tdemo\ttally\t{NEW}\t\n", "") and len(sheds.posts) == 1


def test_a_request_that_never_arrived_is_sent_again_and_three_times_at_most(run, sheds, clock):
    sheds.drops = lambda number: number < 2
    began = clock.now
    assert run(TALLY) == (0, f"install\tdemo\ttally\t{NEW}\t\n", "") and len(sheds.posts) == 3
    assert clock.now - began > 60
    sheds.drops = lambda number: True
    status, out, err = run("shed.test:9009/repos/demo/sum")
    assert (status, out) == (TRY_LATER, "") and "lost 3 times" in err


class Killed(BaseException):
    pass


def test_a_run_that_was_killed_is_resumed_and_sends_nothing_twice(run, sheds, clock):
    """Once before Galaxy had a record of it, once while it was being installed."""
    def killed(request, context):
        sheds.posts.append(request.json())
        raise Killed
    sheds.mock.post(f"{URL}/api/tool_shed_repositories/new/install_repository_revision", json=killed)
    with pytest.raises(Killed):
        run(TALLY)
    began = clock.now

    def appears(request, context):
        if clock.now > began + 10 and not sheds.records:
            sheds.add("Cloning", looks=10)
        return Sheds.list_records(sheds, request, context)
    sheds.mock.get(f"{URL}/api/tool_shed_repositories", json=appears)
    assert run(TALLY) == (0, f"install\tdemo\ttally\t{NEW}\t\n", "") and len(sheds.posts) == 1


@pytest.mark.parametrize("status", ["New", "Cloning", "Setting tool versions", "Installing repository dependencies",
                                    "Installing tool dependencies", "Loading proprietary datatypes"])
def test_what_another_installs_is_waited_for(run, sheds, status):
    sheds.add(status, looks=6)
    assert run("--dry-run", TALLY)[1].split("\t")[0] in ("install", "wait")
    assert run(TALLY) == (0, f"install\tdemo\ttally\t{NEW}\t\n", "") and sheds.writes() == []


def test_a_record_that_nobody_installs_is_installed(run, sheds, clock):
    """Galaxy makes new ones of what a repository needs and was not to be installed; and they wait while others are."""
    sheds.add("New")
    other = sheds.add("Cloning", "0" * 12, "other", looks=40)
    assert run(TALLY)[0] == 0 and len(sheds.posts) == 1 and other["status"] == "Installed"


def test_what_is_stuck_is_told_and_repaired_only_if_asked(run, sheds, clock):
    sheds.add("Cloning")
    status, out, err = run("--stall-timeout=600", TALLY)
    assert (status, out) == (STILL_RUNNING, "") and "has been Cloning for 600 s" in err and "--repair" in err
    assert sheds.writes() == []
    assert run("--stall-timeout=600", "--repair", TALLY)[0] == 0 and sheds.writes() == ["DELETE", "POST"]


def test_the_time_is_up(run, sheds, clock):
    sheds.looks = 10**6
    status, out, err = run("--timeout=100")
    assert (status, out, err.count("\n")) == (STILL_RUNNING, "", 4) and len(sheds.posts) == 1
    assert "is still being installed after 100 s" in err and "not begun within 100 s" in err


def test_a_tool_that_galaxy_lost_among_several_is_installed_again(script, sheds, clock, capsys):
    sheds.invisible.add("tally")
    sheds.loses = lambda number: number == 1 and sheds.invisible.clear()
    line = ["--at-once=2", KEY, URL, TALLY]
    assert script(tool_install.main, *line) == 0 and sheds.writes() == ["POST", "DELETE", "POST"]
    assert script(tool_install.main, *line) == 0 and len(sheds.writes()) == 3
    assert capsys.readouterr() == (f"install\tdemo\ttally\t{NEW}\t\n", "")


def test_a_tool_that_galaxy_does_not_load_at_all_is_told(run, sheds, clock):
    sheds.invisible.add("tally")
    status, out, err = run(TALLY)
    assert status == FAILED and f"Galaxy has not loaded its tool {sheds.tool('tally', NEW)}" in err and len(sheds.posts) == 1
    assert run(TALLY) == (0, "", "")


def test_a_galaxy_that_goes_away_ends_the_run(run, sheds, clock):
    sheds.drops = lambda number: sheds.mock.get(f"{URL}/api/tool_shed_repositories", status_code=502) and \
        sheds.mock.get(f"{URL}/api/version", status_code=502)
    status, out, err = run()
    assert (status, out, err.count("\n")) == (TRY_LATER, "", 1) and len(sheds.posts) == 1
