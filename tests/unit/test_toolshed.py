"""The scripts for Tool Shed repositories, and publishing one: the requests, the output, the exit statuses."""
import io
import json
import tarfile
from urllib.parse import quote

import import_workflows_from_installed_tool_shed_repository
import install_tool_shed_repositories
import pytest
import repair_tool_shed_repository
import reset_metadata_on_installed_repositories
from fakes import KEY

import common
from common import FAILED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.local_server.configuration import REPOSITORY
from galaxy_api_scripts.tools import toolshed

URL, SHED = "http://galaxy.test", "http://shed.test:9009"
OLD, NEW = "c130a1238ddf", "912d014682f1"
LINE = ["-u", SHED, "-a", KEY, "-l", URL, "-n", "tally", "-o", "demo"]
API = f"{URL}/api/tool_shed_repositories"
INSTALL = f"{API}/new/install_repository_revision"
ASKED = {"tool_shed_url": SHED, "name": "tally", "owner": "demo"}
WORKFLOW = {"a_galaxy_workflow": "true", "name": "Tally of months", "steps": {}}


def record(revision=NEW, status="Installed", **more):
    return {"id": f"id-{revision}", "name": "tally", "owner": "demo", "tool_shed": "shed.test:9009", "status": status,
            "changeset_revision": revision, "installed_changeset_revision": revision, "error_message": "", **more}


@pytest.fixture
def uninstall(requests_mock):
    """The answer to a DELETE, which makes the new revision an uninstalled one."""
    def answer(request, context):
        requests_mock.get(API, json=[record(OLD), record(NEW, "Uninstalled")])
        return {"message": "removed"}
    return answer


@pytest.fixture
def servers(requests_mock):
    """A Galaxy of an administrator's with nothing installed, and a Tool Shed with two revisions of one repository."""
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": True})
    requests_mock.get(f"{URL}/api/tool_shed", json=[{"name": "Main", "url": "https%3A%2F%2Fmain.test%2F"},
                                                    {"name": "Ours", "url": "http%3A%2F%2Fshed.test%3A9009%2F"}])
    requests_mock.get(API, json=[])
    requests_mock.get(f"{SHED}/api/repositories/get_ordered_installable_revisions", json=[OLD, NEW])
    requests_mock.post(INSTALL, json=[record()])
    requests_mock.get(f"{URL}/api/tools", json=[{"id": one, "model_class": "ToolSection"} for one in ("filter", "mine")])
    return requests_mock


def sent(mock, *methods):
    """The requests that change something."""
    return [(request.method, request.url.split("?")[0], request.json() if request.text else None)
            for request in mock.request_history if request.method != "GET"]


def refused_with(capsys, *words):
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and KEY not in output.err
    assert all(word in output.err for word in words), output.err
    return True


@pytest.mark.parametrize("module, lines", [
    (install_tool_shed_repositories, [[], LINE[2:], LINE[:-2], [*LINE, "more"], [*LINE, "-r"], [*LINE, "-r", "a/b"],
                                      [*LINE[:-1], "de mo"], [*LINE[:-1], ""]]),
    (repair_tool_shed_repository, [[], LINE, [*LINE, "-r", ""], [*LINE, "-r", OLD, "more"]]),
    (reset_metadata_on_installed_repositories, [[], ["-a", KEY], ["-a", KEY, "-u", URL, "more"]]),
    (import_workflows_from_installed_tool_shed_repository, [[], LINE, [*LINE, "-r", "a b"]]),
])
def test_bad_lines_exit_with_2(script, servers, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert script(module.main, "--help") == 0
    assert servers.request_history == []


@pytest.mark.parametrize("module, line", [
    (install_tool_shed_repositories, [*LINE, "-r", OLD]),
    (repair_tool_shed_repository, [*LINE, "-r", OLD]),
    (reset_metadata_on_installed_repositories, ["-a", KEY, "-u", URL]),
])
def test_a_key_that_is_not_an_administrators_is_an_error(script, servers, capsys, module, line):
    servers.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    assert script(module.main, *line) == FAILED
    assert refused_with(capsys, "needs an administrator's key", "me@example.org", "admin_users names (galaxy.yml)")
    assert sent(servers) == []


@pytest.mark.parametrize("module", [install_tool_shed_repositories, repair_tool_shed_repository])
def test_a_tool_shed_that_galaxy_does_not_know_is_an_error(script, servers, capsys, module):
    servers.get(f"{URL}/api/tool_shed", json=[])
    assert script(module.main, *LINE, "-r", OLD) == FAILED
    assert refused_with(capsys, SHED, "tool_sheds_config_file (galaxy.yml)", "administrators")
    assert sent(servers) == []


# ------------------------------------------------------------------------------------------------------------- install

@pytest.mark.parametrize("options, more", [
    ([], {"changeset_revision": NEW}),
    (["-r", OLD], {"changeset_revision": OLD}),
    (["--revision", OLD, "--panel-section-id", "filter"], {"changeset_revision": OLD, "tool_panel_section_id": "filter"}),
    (["--panel-section-name=Our tools", "--repository-deps", "--tool-deps"],
     {"changeset_revision": NEW, "new_tool_panel_section_label": "Our tools", "install_repository_dependencies": True,
      "install_tool_dependencies": True}),
])
def test_a_revision_is_installed(script, servers, capsys, options, more):
    assert script(install_tool_shed_repositories.main, *LINE, *options) == 0
    assert sent(servers) == [("POST", INSTALL, {**ASKED, **more})]
    assert servers.last_request.headers["x-api-key"] == KEY
    output = capsys.readouterr()
    assert output.out.startswith(f"Response\n--------\n----\n  name: tally\n  id: id-{NEW}\n") and output.err == ""


def test_installing_into_a_missing_section_is_an_error(script, servers, capsys):
    assert script(install_tool_shed_repositories.main, *LINE, "--panel-section-id=nosuch") == FAILED
    assert refused_with(capsys, "nosuch", "filter, mine", "--panel-section-name") and sent(servers) == []
    assert script(install_tool_shed_repositories.main, *LINE, "--panel-section-id=section_filter") == 0


def test_long_options_do_the_same(script, servers):
    assert script(install_tool_shed_repositories.main, "--api", KEY, "--local", f"{URL}/", "--url", f"{SHED}/", "--owner",
                  "demo", "--name", "tally") == 0
    assert sent(servers) == [("POST", INSTALL, {**ASKED, "changeset_revision": NEW})]


def test_the_key_is_not_sent_to_the_tool_shed(script, servers):
    assert script(install_tool_shed_repositories.main, *LINE) == 0
    asked = [request for request in servers.request_history if request.hostname == "shed.test"]
    assert asked and not any("x-api-key" in request.headers for request in asked)


def test_an_installed_revision_is_not_installed_again(script, servers, capsys):
    servers.get(API, json=[record(OLD), record(NEW, tool_shed="another.test"), record(NEW)])
    assert script(install_tool_shed_repositories.main, *LINE) == 0
    output = capsys.readouterr()
    assert output.err == "" and f"'message': 'shed.test:9009/demo/tally, revision {NEW}, is installed already'" in output.out
    assert script(install_tool_shed_repositories.main, *LINE, "--format=value", "--fields=id") == 0
    assert capsys.readouterr().out == f"id-{NEW}\n"
    assert sent(servers) == []


@pytest.mark.parametrize("status", ["Deactivated", "Error"])
def test_a_deactivated_or_failed_revision_is_uninstalled_first(script, servers, uninstall, status):
    servers.get(API, json=[record(NEW, status)])
    servers.delete(f"{API}/id-{NEW}", json=uninstall)
    assert script(install_tool_shed_repositories.main, *LINE) == 0
    assert [line[:2] for line in sent(servers)] == [("DELETE", f"{API}/id-{NEW}"), ("POST", INSTALL)]


def test_a_revision_that_stays_installed_is_not_installed_over(script, installed, capsys):
    installed.delete(f"{API}/id-{NEW}", json=[])
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW) == FAILED
    assert refused_with(capsys, "was to be uninstalled first, and its status is still Installed")
    assert [line[0] for line in sent(installed)] == ["DELETE"]


def test_a_revision_being_installed_is_to_be_tried_later(script, servers, capsys):
    servers.get(API, json=[record(NEW, "Cloning")])
    assert script(install_tool_shed_repositories.main, *LINE) == TRY_LATER
    assert refused_with(capsys, "Cloning", "repair_tool_shed_repository.py") and sent(servers) == []


def test_a_failed_installation_shows_galaxys_reason(script, servers, capsys):
    servers.post(INSTALL, json=[record(NEW, "Error", error_message="no hg")])
    assert script(install_tool_shed_repositories.main, *LINE) == FAILED
    assert refused_with(capsys, "demo/tally", "Error", "no hg")


@pytest.mark.parametrize("answer, words", [
    ({"status_code": 400, "json": {"err_msg": "No information", "err_code": 400008}}, ["No information"]),
    ({"status_code": 500, "json": {"err_msg": "Uncaught exception", "err_code": 500001}}, ["shed_tool_config_file"]),
    ({"json": {"status": "error", "error": "no conf"}}, ["no conf"]),
])
def test_a_refused_installation_is_an_error(script, servers, capsys, answer, words):
    servers.post(INSTALL, **answer)
    assert script(install_tool_shed_repositories.main, *LINE) == FAILED
    assert refused_with(capsys, *words)


def test_an_unknown_revision_is_an_error_with_the_known_ones(script, servers, capsys):
    servers.post(INSTALL, status_code=400, json={"err_msg": "No information is available", "err_code": 400008})
    assert script(install_tool_shed_repositories.main, *LINE, "-r", "f" * 12) == FAILED
    assert refused_with(capsys, f"no revision {'f' * 12} that can be installed, only {OLD}, {NEW}")


def test_an_installed_revision_stays_in_its_section(script, servers, capsys):
    servers.get(API, json=[record(NEW)])
    for options in (["--panel-section-id=mine"], ["--panel-section-name=New", "--dry-run"]):
        assert script(install_tool_shed_repositories.main, *LINE, *options) == 0
        output = capsys.readouterr()
        assert "is installed already; its tools stay where they are" in output.out and "POST" not in output.out
    assert sent(servers) == []


@pytest.mark.parametrize("shed", ["shed.test:9009", "shed.test:9009/"])
@pytest.mark.parametrize("module", [install_tool_shed_repositories, repair_tool_shed_repository,
                                    import_workflows_from_installed_tool_shed_repository])
def test_a_tool_shed_may_be_named_without_its_scheme(script, with_workflows, module, shed):
    line = [shed if word == SHED else word for word in LINE]
    assert script(module.main, *line, "-r", NEW, "--dry-run") == 0
    assert script(module.main, *line, "-r", NEW) == 0


def test_a_repository_without_revisions_is_an_error(script, servers, capsys):
    servers.get(f"{SHED}/api/repositories/get_ordered_installable_revisions", json=[])
    assert script(install_tool_shed_repositories.main, *LINE) == FAILED
    assert refused_with(capsys, "no revision that can be installed") and sent(servers) == []


@pytest.mark.parametrize("revisions", [["/tmp/evil"], "text", [None], {"a": 1}])
def test_revisions_that_can_be_none_are_an_error(script, servers, capsys, revisions):
    servers.get(f"{SHED}/api/repositories/get_ordered_installable_revisions", json=revisions)
    assert script(install_tool_shed_repositories.main, *LINE) == FAILED
    assert refused_with(capsys, "answers with revisions that are none") and sent(servers) == []


@pytest.mark.parametrize("answer", ["text", [], {}, None])
def test_an_import_that_shows_no_workflow_is_an_error(script, with_workflows, capsys, answer):
    with_workflows.post(f"{URL}/api/workflows", json=answer)
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW) == FAILED
    assert refused_with(capsys, f"POST {URL}/api/workflows: ")


def test_an_installation_whose_answer_is_lost_is_awaited(script, servers, clock, capsys):
    servers.post(INSTALL, status_code=504)
    servers.get(API, [{"json": []}, {"json": [record(NEW, "Cloning")]}, {"json": [record()]}])
    assert script(install_tool_shed_repositories.main, *LINE, "--fields=status", "--format=value") == 0
    assert capsys.readouterr().out == "Installed\n" and len(sent(servers)) == 1 and len(clock.slept) == 1


def test_an_installation_whose_request_is_lost_is_to_be_tried_later(script, servers, clock, capsys):
    servers.post(INSTALL, status_code=504)
    assert script(install_tool_shed_repositories.main, *LINE) == TRY_LATER
    assert refused_with(capsys, "repeat the command") and len(sent(servers)) == 1


def test_a_dry_run_of_an_installation_sends_nothing(script, servers, capsys):
    assert script(install_tool_shed_repositories.main, *LINE, "--dry-run") == 0
    assert INSTALL in capsys.readouterr().out and sent(servers) == []


# -------------------------------------------------------------------------------------------------------------- repair

@pytest.fixture
def installed(servers, uninstall):
    servers.get(API, json=[record(OLD), record(NEW)])
    origin = {"tool_shed": "shed.test:9009", "owner": "demo", "name": "tally"}
    servers.get(f"{URL}/api/tools?in_panel=false", json=[
        {"id": "upload1", "panel_section_id": "getext"},
        {"id": "tally", "panel_section_id": "old", "tool_shed_repository": {**origin, "changeset_revision": OLD}},
        {"id": "tally", "panel_section_id": "filter", "tool_shed_repository": {**origin, "changeset_revision": NEW}}])
    servers.delete(f"{API}/id-{NEW}", json=uninstall)
    return servers


def test_a_repaired_revision_keeps_its_section(script, installed, capsys):
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW) == 0
    assert sent(installed) == [("DELETE", f"{API}/id-{NEW}", None),
                               ("POST", INSTALL, {**ASKED, "changeset_revision": NEW, "tool_panel_section_id": "filter"})]
    output = capsys.readouterr()
    assert output.out.startswith("Response\n--------\n----\n  name: tally\n") and output.err == ""


def test_a_repaired_revision_goes_into_the_section_option(script, installed):
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW, "--panel-section-id=mine") == 0
    assert sent(installed)[1][2]["tool_panel_section_id"] == "mine"


def test_an_uninstalled_revision_is_installed_by_a_repair(script, installed):
    installed.get(API, json=[record(NEW, "Uninstalled")])
    installed.get(f"{URL}/api/tools?in_panel=false", json=[])
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW) == 0
    assert sent(installed) == [("POST", INSTALL, {**ASKED, "changeset_revision": NEW})]


def test_repairing_a_revision_never_installed_is_an_error(script, installed, capsys):
    assert script(repair_tool_shed_repository.main, *LINE, "-r", "f" * 12) == FAILED
    assert refused_with(capsys, "f" * 12, f"{OLD}, {NEW}") and sent(installed) == []


def test_nothing_is_uninstalled_while_the_tool_shed_does_not_answer(script, installed, clock, capsys):
    installed.get(f"{SHED}/api/repositories/get_ordered_installable_revisions", status_code=503)
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW) == TRY_LATER
    assert refused_with(capsys, SHED) and sent(installed) == []


def test_a_dry_run_of_a_repair_sends_nothing(script, installed, capsys):
    assert script(repair_tool_shed_repository.main, *LINE, "-r", NEW, "--dry-run") == 0
    assert '"tool_panel_section_id": "filter"' in capsys.readouterr().out and sent(installed) == []


# --------------------------------------------------------------------------------------------------------------- reset

RESET = f"{API}/reset_metadata_on_installed_repositories"


@pytest.mark.parametrize("failed, status", [(0, 0), (1, SOME_FAILED)])
def test_a_reset_prints_galaxys_counts(script, servers, capsys, failed, status):
    text = json.dumps({"repository_status": [], "successful_count": 2, "unsuccessful_count": failed}, indent=4)
    servers.post(RESET, json=text)
    assert script(reset_metadata_on_installed_repositories.main, "-a", KEY, "-u", f"{URL}/") == status
    output = capsys.readouterr()
    assert output.out == f"Response\n--------\n{text}\n" and output.err.count("\n") == failed
    assert sent(servers) == [("POST", RESET, {})]


def test_a_refused_reset_is_an_error(script, servers, capsys):
    servers.post(RESET, status_code=403, text="")
    assert script(reset_metadata_on_installed_repositories.main, "--api", KEY, "--url", URL) == FAILED
    assert refused_with(capsys, "403")


def test_a_dry_run_of_a_reset_lists_the_repositories(script, installed, capsys):
    assert script(reset_metadata_on_installed_repositories.main, "-n", "-a", KEY, "-u", URL) == 0
    assert NEW in capsys.readouterr().out and sent(installed) == []


# ----------------------------------------------------------------------------------------------------------- workflows

@pytest.fixture
def with_workflows(installed):
    pages = f"{SHED}/repos/demo/tally"
    installed.get(f"{pages}/json-manifest/{NEW}", json={
        "directories": [{"abspath": "workflows"}], "files": [{"abspath": "tally.xml"}, {"abspath": "a.ga"}]})
    installed.get(f"{pages}/json-manifest/{NEW}/workflows", json={
        "directories": [], "files": [{"abspath": "workflows/b #2.ga"}]})
    for path in ("a.ga", "workflows/b #2.ga"):
        installed.get(f"{pages}/raw-file/{NEW}/{quote(path)}", json={**WORKFLOW, "name": path})
    installed.post(f"{URL}/api/workflows", json={"id": "w", "name": "n", "url": "/api/workflows/w"})
    return installed


def test_import_workflows(script, with_workflows, capsys):
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW) == 0
    assert [(url, body["workflow"]["name"]) for _, url, body in sent(with_workflows)] == [
        (f"{URL}/api/workflows", "a.ga"), (f"{URL}/api/workflows", "workflows/b #2.ga")]
    output = capsys.readouterr()
    assert output.out == "Response\n--------\n" + "/api/workflows/w\n  name: n\n  id: w\n" * 2 and output.err == ""


def test_a_dry_run_lists_the_workflows(script, with_workflows, capsys):
    line = [*LINE, "-r", NEW, "--dry-run", "--format=value", "--fields=path"]
    assert script(import_workflows_from_installed_tool_shed_repository.main, *line) == 0
    assert capsys.readouterr().out == "a.ga\nworkflows/b #2.ga\n" and sent(with_workflows) == []


def test_a_repository_without_workflows_imports_nothing(script, with_workflows, capsys):
    with_workflows.get(f"{SHED}/repos/demo/tally/json-manifest/{NEW}", json={"directories": [], "files": []})
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW) == 0
    assert capsys.readouterr() == ("", "") and sent(with_workflows) == []
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW, "--format=json") == 0
    assert json.loads(capsys.readouterr().out) == [] and sent(with_workflows) == []


def test_importing_from_a_revision_not_installed_is_an_error(script, with_workflows, capsys):
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", "f" * 12) == FAILED
    assert refused_with(capsys, "not installed")
    with_workflows.get(API, json=[record(NEW, "Uninstalled")])
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW) == FAILED
    assert refused_with(capsys, "Uninstalled") and sent(with_workflows) == []


def test_a_refused_workflow_is_an_error(script, with_workflows, capsys):
    with_workflows.post(f"{URL}/api/workflows", status_code=400, json={"err_msg": "no workflow", "err_code": 400008})
    assert script(import_workflows_from_installed_tool_shed_repository.main, *LINE, "-r", NEW) == FAILED
    assert refused_with(capsys, "no workflow")


# ------------------------------------------------------------------------------------------------------------- publish

@pytest.fixture
def empty_shed(requests_mock):
    api = f"{SHED}/api"
    requests_mock.get(f"{api}/users", json=[])
    requests_mock.post(f"{api}/users", json={"id": "u", "username": "demo"})
    requests_mock.get(f"{api}/users/u/api_key", json="owners-own-key")
    requests_mock.get(f"{api}/categories", json=[])
    requests_mock.post(f"{api}/categories", json={"id": "c"})
    requests_mock.get(f"{api}/repositories", json=[])
    requests_mock.post(f"{api}/repositories", json={"id": "r"})
    requests_mock.get(f"{api}/repositories/get_ordered_installable_revisions", json=[])
    requests_mock.post(f"{api}/repositories/r/changeset_revision", json={"message": "done"})
    return requests_mock


def test_a_repository_is_published_with_its_revisions(empty_shed):
    toolshed.publish_repository(KEY, SHED, "me@example.org", REPOSITORY)
    posts = [request for request in empty_shed.request_history if request.method == "POST"]
    assert [post.path for post in posts] == ["/api/users", "/api/categories", "/api/repositories",
                                             *["/api/repositories/r/changeset_revision"] * 2]
    assert (posts[0].json()["email"], posts[0].json()["username"]) == ("me@example.org", "demo")
    assert posts[2].json()["name"] == "tally" and posts[2].json()["category_ids[]"] == ["c"]
    assert [post.headers["x-api-key"] for post in posts] == [KEY, KEY, *["owners-own-key"] * 3]
    body = posts[4].body
    with tarfile.open(fileobj=io.BytesIO(body[body.index(b"\x1f\x8b"):])) as archive:
        assert archive.getnames() == ["tally.xml", "tally_months.ga"]
        assert b'"shed.test:9009/repos/demo/tally/tally/0.2"' in archive.extractfile("tally_months.ga").read()


def test_a_published_repository_is_left_as_it_is(empty_shed):
    api = f"{SHED}/api"
    empty_shed.get(f"{api}/users", json=[{"id": "u", "username": "demo"}])
    empty_shed.get(f"{api}/categories", json=[{"id": "c", "name": "Text Manipulation"}])
    empty_shed.get(f"{api}/repositories", json=[{"id": "r", "name": "tally"}])
    empty_shed.get(f"{api}/repositories/get_ordered_installable_revisions", json=[OLD, NEW])
    toolshed.publish_repository(KEY, SHED, "me@example.org", REPOSITORY)
    assert [request.method for request in empty_shed.request_history if request.method != "GET"] == []


def test_require_admin_returns_the_administrator(requests_mock):
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "e", "is_admin": True})
    assert common.Galaxy(KEY, URL).require_admin("it")["id"] == "u"
