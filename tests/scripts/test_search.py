"""search.py: how queries are parsed, which requests they become, how the answers are filtered."""
import pytest
import search
from fakes import KEY, URL

from common import USAGE, GalaxyError
from galaxy_api_scripts.search import Condition, parse_query


@pytest.fixture(autouse=True)
def user(requests_mock):
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})


def asked(requests_mock):
    return requests_mock.request_history[1:]


# ---------------------------------------------------------------------------------------------- reading

@pytest.mark.parametrize("text, fields, domain, conditions", [
    ("select * from history", [], "history", []),
    ("SELECT name,id ,  file_size FROM hda", ["name", "id", "file_size"], "hda", []),
    ("select id from hda where name='Run 12'", ["id"], "hda", [("name", "=", "Run 12")]),
    ("select id from hda where name = 'a and b' and deleted!=true", ["id"], "hda",
     [("name", "=", "a and b"), ("deleted", "!=", True)]),
    ("select id from hda where name='O''Brien' and hid=4", ["id"], "hda", [("name", "=", "O'Brien"), ("hid", "=", "4")]),
    ('select id from hda where name like "it\'s %"', ["id"], "hda", [("name", "like", "it's %")]),
    ("select id from hda where name='' and annotation=None", ["id"], "hda", [("name", "=", ""), ("annotation", "=", None)]),
    ("select id from hda where name='true'", ["id"], "hda", [("name", "=", "true")]),
])
def test_a_query_is_parsed(text, fields, domain, conditions):
    query = parse_query(text)
    assert (query.fields, query.domain, [tuple(one) for one in query.conditions]) == (fields, domain, conditions)


@pytest.mark.parametrize("text, words", [
    ("", "expected select at its end"),
    ("selct id from hda", "expected select at column 1, not 'selct'"),
    ("select from hda", "expected a field or * at column 8, not 'from'"),
    ("select id, from hda", "expected a field at column 12, not 'from'"),
    ("select id form hda", "expected from at column 11, not 'form'"),
    ("select id from", "expected a domain at its end"),
    ("select id from hda order by name", "expected where, or the query's end, at column 20, not 'order'"),
    ("select id from hda where", "expected a field at its end"),
    ("select id from hda where name", "expected = or != or like at its end"),
    ("select id from hda where name > 'x'", "expected = or != or like at column 31, not '>'"),
    ("select id from hda where name=", "expected a value such as 'Run 12' at its end"),
    ("select id from hda where name==x", "expected a value such as 'Run 12' at column 31, not '='"),
    ("select id from hda where name='x", "the quote at column 31 is not closed"),
    ("select id from hda where name='x' or id='y'", "expected and, or the query's end, at column 35, not 'or'"),
    ("select id from hda where name='x' and", "expected a field at its end"),
    ("select * from nothing", "unknown domain nothing: expected one of hda, hdca, ldda,"),
])
def test_an_error_points_at_the_wrong_token(script, requests_mock, capsys, text, words):
    assert script(search.main, URL, KEY, text) == USAGE
    output = capsys.readouterr()
    assert f"query {text!r}: {words}" in output.err and output.err.count("\n") == 1
    assert asked(requests_mock) == []


def test_all_queries_are_parsed_before_the_first_request(script, requests_mock, capsys):
    assert script(search.main, URL, KEY, "select * from tool", "select") == USAGE
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("condition, content, matches", [
    (("name", "=", "a"), "a", True), (("name", "=", "a"), "A", False), (("name", "!=", "a"), "b", True),
    (("name", "!=", "a"), None, True), (("hid", "=", "4"), 4, True), (("deleted", "=", True), True, True),
    (("deleted", "=", "true"), True, True), (("deleted", "=", False), None, False), (("n", "=", None), None, True),
    (("n", "!=", None), "x", True), (("n", "=", None), "null", False),
    (("tag", "=", "b"), ["a", "b"], True), (("tag", "!=", "b"), ["a", "b"], False),
    (("tag", "like", "name:%"), ["name:x"], True),
    (("name", "like", "%.bam"), "x.bam", True), (("name", "like", "%.bam"), "xbam", False),
    (("name", "like", "a_c"), "a\nc", True), (("name", "like", "a_c"), "abbc", False),
])
def test_a_condition_matches_contents(condition, content, matches):
    assert Condition(*condition).matches(content) is matches


# ---------------------------------------------------------------------------------------------- asking

def test_without_queries_the_samples_are_run(script, requests_mock, capsys):
    for path in ("datasets", "histories", "tools", "workflows", "libraries"):
        requests_mock.get(f"{URL}/api/{path}", json=[])
    assert script(search.main, URL, KEY) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.splitlines() == [line for text in search.SAMPLES for line in (text, "{'results': []}")]
    assert len(search.SAMPLES) == 8


def test_an_unknown_key_is_an_error_and_not_an_empty_list(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/users/current", json={})
    assert script(search.main, URL, KEY, "select * from history") == 1
    assert "check it" in capsys.readouterr().err and requests_mock.call_count == 1


@pytest.mark.parametrize("text, path, params", [
    ("select * from history", "histories", {"q": ["deleted-eq"], "qv": ["false"]}),
    ("select id, name from history where name='Run 12'", "histories",
     {"q": ["name-eq", "deleted-eq"], "qv": ["run 12", "false"], "keys": ["id,name"]}),
    ("select name from history where deleted=true", "histories", {"q": ["deleted-eq"], "qv": ["true"]}),
    ("select name from history where tag='x'", "histories", {"keys": ["id,name,tags"]}),
    ("select name from hda where state!='ok' and name like 'a%'", "datasets",
     {"q": ["name-like", "history_content_type-eq", "deleted-eq"], "qv": ["a%", "dataset", "false"],
      "keys": ["id,name,state"]}),
    ("select name from hda where history_id=h1", "datasets", {"history_id": ["h1"]}),
    ("select name from hdca", "datasets", {"q": ["history_content_type-eq", "deleted-eq"]}),
    ("select * from tool where name='Cut'", "tools", {"in_panel": ["false"]}),
    ("select * from workflow where deleted=true", "workflows", {"show_deleted": ["true"]}),
    ("select * from invocation where workflow_id=w and state=failed", "invocations", {"workflow_id": ["w"], "state": None}),
    ("select * from job where tool_name='cat1' and state=ok", "jobs", {"tool_id": ["cat1"], "state": ["ok"]}),
    ("select * from job where state!=ok", "jobs", {"state": None}),
])
def test_galaxy_filters_what_it_can(script, requests_mock, text, path, params):
    requests_mock.get(f"{URL}/api/{path}", json=[])
    assert script(search.main, URL, KEY, text) == 0
    [request] = asked(requests_mock)
    sent = {**request.qs}
    assert {name: sent.get(name) for name in params} == params


def test_other_conditions_are_checked_here(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h1", "name": "one", "tags": ["x"]},
                                                     {"id": "h2", "name": "two", "tags": []}])
    assert script(search.main, URL, KEY, "select name from history where tag='x'") == 0
    assert capsys.readouterr().out.endswith("\n{'results': [{'name': 'one'}]}\n")
    assert script(search.main, "--format=tsv", URL, KEY, "select name, id from history where tag!='x'") == 0
    assert capsys.readouterr().out == "name\tid\ntwo\th2\n"


def test_invocations_of_a_workflow_are_found_though_they_have_its_versions_id(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/invocations", json=[{"id": "i", "workflow_id": "version"}])
    query = "select id, workflow_id from invocation where workflow_id='w'"
    assert script(search.main, "--format=value", URL, KEY, query) == 0
    assert capsys.readouterr().out == "i\tversion\n" and requests_mock.last_request.qs["workflow_id"] == ["w"]
    for comparison in ("!='w'", " like 'w%'", "=none"):
        assert script(search.main, URL, KEY, f"select id from invocation where workflow_id{comparison}") == USAGE
        assert "workflow_id can only be compared by =, with a workflow's id" in capsys.readouterr().err


def test_old_names_of_fields_and_domains_are_understood(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/jobs", json=[{"id": "j", "tool_id": "cat1"}])
    requests_mock.get(f"{URL}/api/datasets", json=[])
    assert script(search.main, "--format=value", URL, KEY, "select tool_name from job",
                  "select id from history_dataset") == 0
    assert capsys.readouterr().out == "cat1\n"


def test_an_unknown_field_is_a_usage_error(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/jobs", json=[{"id": "j"}])
    for text in ("select bogus from job", "select id from job where bogus=1"):
        assert script(search.main, "--format=json", URL, KEY, text) == USAGE
        output = capsys.readouterr()
        assert output.out == "" and "job has no field bogus" in output.err


def test_library_datasets_are_listed_folder_by_folder(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/libraries", json=[{"id": "l"}])
    requests_mock.get(f"{URL}/api/libraries/l/contents", json=[{"type": "folder", "id": "Fr"}, {"type": "file", "id": "x"}])
    file = {"type": "file", "id": "ld1", "ldda_id": "d1", "name": "a.bam", "file_ext": "bam"}
    requests_mock.get(f"{URL}/api/folders/Fr/contents", json={
        "metadata": {"total_rows": 2}, "folder_contents": [file, {"type": "folder", "id": "Fs"}]})
    assert script(search.main, "--format=value", URL, KEY,
                  "select name, id, model_class, data_type, folder_id, parent_library_id from ldda where name='a.bam'") == 0
    assert capsys.readouterr().out == "a.bam\td1\tLibraryDatasetDatasetAssociation\tbam\tFr\tl\n"
    assert [request.path for request in asked(requests_mock)] == [
        "/api/libraries", "/api/libraries/l/contents", "/api/folders/fr/contents"]


def test_a_refused_query_is_an_error(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/datasets", status_code=400,
                      json={"err_msg": "invalid state in filter", "err_code": 400008})
    assert script(search.main, "--format=table", URL, KEY, "select id from hda where state=great") == 1
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and KEY not in output.err
    assert "invalid state in filter" in output.err


def test_bad_lines_exit_with_2(script, requests_mock, capsys):
    for line in ([], [URL], ["--format=tabel", URL, KEY], ["--nonsense", URL, KEY]):
        assert script(search.main, *line) == USAGE
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert requests_mock.call_count == 0


def test_an_error_begins_with_the_query():
    with pytest.raises(GalaxyError, match="^query 'x': "):
        parse_query("x")
