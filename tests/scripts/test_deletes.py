"""history_delete_history.py and workflow_delete.py: what they send, and that they delete nothing of another kind."""
import json

import history_delete_history
import pytest
import workflow_delete
from fakes import KEY, URL

from common import FAILED, USAGE

BOTH = pytest.mark.parametrize("module, url", [
    (history_delete_history, f"{URL}/api/histories/h1"), (workflow_delete, f"{URL}/api/workflows/w1")])


@BOTH
@pytest.mark.parametrize("purge, sent", [
    ([], None), (["true"], {"purge": True}), (["True"], {"purge": True}), (["1"], {"purge": True}),
    (["false"], {"purge": False}), (["no"], {"purge": False}), (["0"], {"purge": False})])
def test_the_request_says_whether_to_purge(script, requests_mock, module, url, purge, sent):
    requests_mock.delete(url, json={"id": "x"})
    assert script(module.main, KEY, url, *purge) == 0
    request = requests_mock.last_request
    assert (request.body if sent is None else request.json()) == sent and request.headers["x-api-key"] == KEY
    assert requests_mock.call_count == 1


def test_the_answer_is_printed(script, requests_mock, capsys):
    requests_mock.delete(f"{URL}/api/histories/h1", json={"id": "h1", "purged": True})
    requests_mock.delete(f"{URL}/api/workflows/w1", status_code=204)
    assert script(history_delete_history.main, KEY, f"{URL}/api/histories/h1") == 0
    assert capsys.readouterr() == ("Response\n--------\n{'id': 'h1', 'purged': True}\n", "")
    assert script(workflow_delete.main, KEY, f"{URL}/api/workflows/w1/") == 0
    assert capsys.readouterr() == ("Response\n--------\n", "")
    assert script(history_delete_history.main, "--fields=purged", "--format=value", KEY, f"{URL}/api/histories/h1") == 0
    assert capsys.readouterr().out == "true\n"


@BOTH
def test_a_dry_run_sends_nothing(script, requests_mock, capsys, module, url):
    assert script(module.main, "-n", KEY, url, "true") == 0
    assert json.loads(capsys.readouterr().out) == {"method": "DELETE", "url": url, "payload": {"purge": True}}
    assert requests_mock.call_count == 0


@BOTH
def test_a_url_of_another_route_is_refused(script, requests_mock, capsys, module, url):
    other = url.replace("histories", "libraries").replace("workflows", "users")
    for address in (URL, url.rpartition("/")[0], other, f"{url}/contents/c1", url.replace("1", "%2e%2e")):
        assert script(module.main, KEY, address) == USAGE
        output = capsys.readouterr()
        assert output.err.count("\n") == 1 and f"this script needs {url[:-2]}ID" in output.err
    assert requests_mock.call_count == 0


@BOTH
@pytest.mark.parametrize("line", [["purge"], [""], ["true", "--nosuch"]])
def test_a_bad_line_is_a_usage_error(script, requests_mock, capsys, module, url, line):
    assert script(module.main, KEY, url, *line) == USAGE
    assert script(module.main, KEY) == USAGE
    assert capsys.readouterr().err and requests_mock.call_count == 0


@BOTH
def test_an_error_is_one_line_on_standard_error(script, requests_mock, capsys, module, url):
    requests_mock.delete(url, status_code=403, json={"err_msg": "No rights", "err_code": 403002})
    assert script(module.main, KEY, url) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "No rights" in output.err


def test_a_server_that_does_not_purge_is_explained(script, requests_mock, capsys):
    requests_mock.delete(f"{URL}/api/histories/h1", status_code=403, json={
        "err_msg": "This instance does not allow user dataset purging", "err_code": 403004})
    assert script(history_delete_history.main, KEY, f"{URL}/api/histories/h1", "true") == FAILED
    output = capsys.readouterr()
    assert output.err.count("\n") == 1 and "allow_user_dataset_purge: true in galaxy.yml" in output.err
