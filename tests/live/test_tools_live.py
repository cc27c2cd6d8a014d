"""tool_list.py, tool_show.py, tool_run.py and the recipes on a real Galaxy, which is then asked what it holds."""
import json
import re
import statistics

import pytest

FORMAT_2 = """class: GalaxyWorkflow
label: {name}
inputs:
  table: data
outputs:
  result: {{outputSource: cut/out_file1}}
steps:
  cut:
    tool_id: Cut1
    in: {{input: table}}
    state: {{columnList: c1, delimiter: T}}
"""


def told(person, *line):
    ended = person.run(*line)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


@pytest.fixture(scope="module")
def made(person):
    """`made(history, tool, NAME=VALUE...)`: the ids of what tool_run.py makes, all well."""
    def run(*line):
        return told(person, "tool_run.py", "--wait", "--timeout=120", "--format=value", "--fields=id", person.key,
                    person.url, *line).split()
    return run


def text(person, dataset):
    return person.look(f"datasets/{dataset}/get_content_as_text")["item_data"]


def test_list(person):
    panel = told(person, "tool_list.py", "--format=value", "--fields=id", person.key, person.url).splitlines()
    assert {"cat1", "Filter1", "sort1"} <= set(panel) and "__DATA_FETCH__" not in panel
    everything = told(person, "tool_list.py", "--all", "--format=value", "--fields=id", person.key, person.url).splitlines()
    assert everything == [tool["id"] for tool in person.look("tools", in_panel="false")]
    found = told(person, "tool_list.py", "--search=sort", "--format=value", "--fields=id", person.key, person.url)
    # Galaxy's search goes on finding tools that were uninstalled.
    assert found.splitlines() == [tool for tool in person.look("tools", q="sort") if tool in everything]
    section = told(person, "tool_list.py", "--section=Filter and Sort", "--format=value", "--fields=id", person.key,
                   person.url)
    there = {tool["id"] for tool in person.look("tools", in_panel="false")
             if tool["panel_section_name"] == "Filter and Sort"}
    assert set(section.split()) == there >= {"Filter1", "sort1", "Grep1"}   # others where somebody has installed some


def test_show_names_the_inputs_as_a_run_takes_them(person):
    names = told(person, "tool_show.py", "--format=value", "--fields=name", person.key, person.url, "Group").split()
    assert {"input1", "groupcol", "operations_0|optype", "operations_0|opcol"} <= set(names)
    nested = told(person, "tool_show.py", "--format=value", "--fields=name", person.key, person.url, "pick_value").split()
    assert "style_cond|type_cond|pick_from_0|value" in nested


def test_a_run_and_its_parameters(person, weather, made):
    [dataset] = made(weather.history, "Group", f"input1=hda:{weather.dataset}", "groupcol=2", "ignorecase=yes",
                     "operations_0|optype=length", "operations_0|opcol=3", "operations_1|optype=unique",
                     "operations_1|opcol=c1", "ignorelines=62,64")
    job = person.look(f"jobs/{person.look(f'datasets/{dataset}')['creating_job']}", full="true")
    assert (job["tool_id"], job["state"]) == ("Grouping1", "ok")
    assert job["inputs"]["input1"]["id"] == weather.dataset
    params = {name: json.loads(value) for name, value in job["params"].items()}
    assert params["groupcol"] == "2" and params["ignorecase"] in (True, "true") and params["ignorelines"] == ["62", "64"]
    assert [(one["optype"], one["opcol"]) for one in params["operations"]] == [("length", "3"), ("unique", "1")]


def test_an_input_of_a_choice(person, made, weather):
    [dataset] = made(weather.history, "pick_value", "style_cond|type_cond|param_type=text",
                     "style_cond|type_cond|pick_from_0|value=abc")
    assert "abc" in text(person, dataset)


def test_collections_are_mapped_over(person, made, tmp_path):
    history = person.new_history("live map")
    for sample in ("s1", "s2"):
        for mate in (1, 2):
            (tmp_path / f"{sample}_R{mate}.fastq").write_text(f"@{sample}\nAC\n+\nII\n" * mate)
    pairs = person.value("collection_create.py", "--type=list:paired", "--wait", "--format=value", "--fields=id", person.key,
                         person.url, history, "pairs", *sorted(tmp_path.glob("*.fastq")))
    [counted] = made(history, "wc_gnu", f"input1=hdca:{pairs}", "options=lines", "include_header=no")
    collection = person.look(f"histories/{history}/contents/dataset_collections/{counted}")
    assert collection["collection_type"] == "list:paired"
    assert [[text(person, one["object"]["id"]).split()[-1] for one in element["object"]["elements"]]
            for element in collection["elements"]] == [["4", "8"]] * 2
    forward, reverse = made(history, "__UNZIP_COLLECTION__", f"input=hdca:{pairs}")
    for unzipped in (forward, reverse):
        about = person.look(f"histories/{history}/contents/dataset_collections/{unzipped}")
        assert about["collection_type"] == "list"
        assert [one["element_identifier"] for one in about["elements"]] == ["s1", "s2"]


def test_what_is_refused_leaves_nothing_behind(person, weather, tmp_path):
    (tmp_path / "x.png").write_bytes(b"no table")
    picture = person.value("dataset_upload.py", "--wait", "--ext=png", "--format=value", "--fields=id", person.key,
                           person.url, weather.history, tmp_path / "x.png")
    before = (len(person.look(f"histories/{weather.history}/contents")), len(person.look("histories")))
    data = f"input=hda:{weather.dataset}"
    for tool, pairs, status, words in (
            ("Filter1", [], 2, "needs input"), ("Filter1", [f"input=hda:{picture}"], 2, "is png"),
            ("Filter1", [data, "header_lines=x"], 2, "takes an integer"),
            ("Filter1", [data, "cond:=[1]"], 2, "takes a text"),
            ("Filter1", [data, "hedaer_lines=1"], 2, "did you mean header_lines?"),
            ("Filter1", ["input=hid:999"], 1, "has nothing with that number"),
            ("Filter1", [f"input=hda:{'0' * 16}"], 1, "nothing has that id"),
            ("Grouping1", [f"input1=hda:{weather.dataset}", "groupcol=99"], 1, "400 Bad Request")):
        history = "new:live refused" if tool == "Grouping1" else weather.history
        ended = person.run("tool_run.py", person.key, person.url, history, tool, *pairs)
        assert (ended.returncode, ended.stdout) == (status, "") and words in ended.stderr, ended
    assert (len(person.look(f"histories/{weather.history}/contents")), len(person.look("histories"))) == before


def test_a_job_that_fails(person, weather):
    ended = person.run("tool_run.py", "--wait", person.key, person.url, weather.history, "Grouping1",
                       f"input1=hda:{weather.dataset}", "groupcol=2", "operations_0|opcol=1")
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    job, words = re.search("job ([0-9a-f]+) of Grouping1 is error, exit code 1: (.+)", ended.stderr).groups()
    assert words in person.look(f"jobs/{job}", full="true")["tool_stderr"]
    assert ended.stdout.split()[-1] == "error"


def test_time_that_is_up(person, weather):
    ended = person.run("tool_run.py", "--wait", "--timeout=0", "--format=value", "--fields=id", person.key, person.url,
                       weather.history, "cat1", f"input1=hda:{weather.dataset}")
    assert ended.returncode == 4 and "still running after 0 s" in ended.stderr
    assert person.look(f"datasets/{ended.stdout.strip()}")["history_id"] == weather.history


def test_a_job_that_was_done_before(person, made):
    history = person.new_history("live cached")
    dataset = person.uploaded(history, __file__)
    first, second = (made(history, "cat1", f"input1=hda:{dataset}", *options) for options in ([], ["--use-cached-jobs"]))
    jobs = [person.look(f"jobs/{person.look(f'datasets/{one[0]}')['creating_job']}") for one in (first, second)]
    assert jobs[1]["copied_from_job_id"] == jobs[0]["id"]


@pytest.fixture(scope="module")
def branches(person, tmp_path_factory):
    """Two workflows, by name."""
    ids = {}
    for name in ("live few", "live many"):
        file = tmp_path_factory.mktemp("branches") / "w.yml"
        file.write_text(FORMAT_2.format(name=name))
        ids[name] = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url, file)
    return ids


@pytest.mark.parametrize("limit, chosen", [(365, "live many"), (366, "live few")])
def test_the_recipe_branches_both_ways(person, weather, branches, limit, chosen):
    ran = {name: len(person.look("invocations", workflow_id=one)) for name, one in branches.items()}
    row = told(person, "recipe_branch.py", f"--lines={limit}", "--timeout=120", person.key, person.url, weather.history,
               weather.dataset, "live few", "live many").splitlines()[2]
    lines, *name, label, result = row.split()
    assert (lines, " ".join(name), label) == ("366", chosen, "result")
    for name, one in branches.items():
        assert len(person.look("invocations", workflow_id=one)) == ran[name] + (name == chosen)
    assert text(person, result).count("2015-") > 100


def test_the_recipe_converges(person, tmp_path):
    history = person.new_history("live loop")
    (tmp_path / "t.tsv").write_text("".join(f"x\t{value}\n" for value in [*range(10), 30, 200, 5000]))
    dataset = person.uploaded(history, tmp_path / "t.tsv", file_type="tabular")
    rounds = [line.split("\t") for line in told(person, "recipe_loop.py", "--sigmas=2", "--timeout=120", person.key,
                                                person.url, history, dataset, "2").splitlines()]
    assert [int(row[1]) for row in rounds] == [12, 11, 10, 10]
    assert float(rounds[-1][2]) == statistics.fmean(range(10))
    assert text(person, rounds[-1][3]) == "".join(f"x\t{value}\n" for value in range(10))
    assert len(person.look(f"histories/{history}/contents")) == 1 + len(rounds)
