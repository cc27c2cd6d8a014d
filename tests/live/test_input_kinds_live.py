"""Inputs of every kind on a real Galaxy: the template is filled in and run, and what comes out is compared to the byte.

kinds.ga has an input of each kind, and an output that shows what came of it. What Galaxy would refuse, a dry run refuses.
"""
import copy
import hashlib
import json

import pytest
import requests
import yaml

from .conftest import WORKFLOWS, Person
from .test_workflow_run_live import on_disk

TABLE, FAR = "a\t1\nb\t2\nc\t3\n", "base64://YQliCg=="       # a, tab, b
FILES = {"t.tsv": TABLE, "one.tsv": "one\n", "two.tsv": "two\n", "scan.imzML": "index\n", "scan.ibd": "data\n"}

pytestmark = [pytest.mark.needs("sample sheets"), pytest.mark.needs("validators")]


@pytest.fixture(scope="module")
def person(server):
    """A user whose histories are counted, so one of this module's own."""
    return Person(server)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def job(person, folder):
    """The template of the workflow, filled in as a person would."""
    workflow = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url,
                            WORKFLOWS / "kinds.ga")
    job = yaml.safe_load(person.value("workflow_template.py", person.key, person.url, workflow))
    job["table"]["path"] = "t.tsv"
    job["far"] = {"class": "File", "location": FAR, "name": "far.tsv", "filetype": "tabular", "deferred": True}
    job["scan"].update(composite_data=["scan.ibd", "scan.imzML"], name="scan")
    [pair] = job["either"]["elements"]
    single = {**copy.deepcopy(pair), "identifier": "s2"}
    single["elements"] = [{"class": "File", "identifier": "unpaired", "path": "one.tsv"}]
    pair.update(identifier="s1")
    for element, name in zip(pair["elements"], ("one.tsv", "two.tsv")):
        element["path"] = name
    job["either"]["elements"].append(single)
    [outer] = job["deep"]["elements"]
    outer.update(identifier="x")
    outer["elements"][0].update(identifier="y", path="two.tsv")
    for element, name in zip(job["both"]["elements"], ("one.tsv", "two.tsv")):
        element["path"] = name
    [element] = job["sheet"]["elements"]
    element.update(identifier="s1", path="one.tsv")
    job["sheet"]["rows"] = {"s1": [7, None]}
    job.update({"code": "abc1", "paint": "#00ff7F", "picks": ["md5", "sha256"], "inside/head:lineNum": 2, "who": "nobody"})
    assert "todo_" not in str(job)
    del job["given"], job["share"]       # which have defaults
    return job


def run(person, folder, job, *options, words=(), **extra):
    (folder / "job.yml").write_text(yaml.safe_dump(job))
    return person.run("workflow_run.py", *options, f"--job={folder}/job.yml", person.key, person.url, WORKFLOWS / "kinds.ga",
                      *words, **extra)


def leaves(value):
    """The names in a collection that a dry run shows."""
    return {name: leaves(element) if "elements" in element else "" for name, element in value["elements"].items()}


def test_a_template_that_is_filled_in_gives_each_input_its_kind(person, folder, job):
    """The dry run's request is the run's."""
    planned = run(person, folder, job, "--dry-run")
    assert planned.returncode == 0, planned
    payload = json.loads(planned.stdout)["payload"]
    ended = run(person, folder, job, f"--download={folder}/out", f"--record={folder}/run.json")
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    read = {name.rpartition(".")[0]: text for name, text in on_disk(folder / "out").items()}
    digests = [hashlib.new(name, TABLE.encode()).hexdigest() for name in ("md5", "sha256")]
    assert read == {
        # Galaxy writes # as __pd__ in what it hands to a tool as a text.
        "columns": "".join(f"{line}\tabc1\t__pd__00ff7F\n" for line in TABLE.splitlines()), "fetched": "a\tb\n",
        "given copy": "g\n", "either copy/s1/forward": "one\n", "either copy/s1/reverse": "two\n",
        "either copy/s2/unpaired": "one\n", "deep copy/x/y": "two\n", "few": "a\t1\nb\t2\n",
        "sums": "#md5\tsha256\n" + "\t".join(digests) + "\n", "values": "element_identifier\tdose\tnote\ns1\t7\t-\n"}

    about = person.look(f"invocations/{json.loads((folder / 'run.json').read_text())['invocation']}")
    sent = json.loads((folder / "run.json").read_text())["request"]
    assert sent == payload and sent["parameters_normalized"] and sent["replacement_params"] == {"who": "nobody"}
    ids = {value["label"]: value["id"] for value in about["inputs"].values()}
    assert person.look(f"datasets/{ids['far']}")["state"] == "deferred"
    assert person.look(f"datasets/{ids['scan']}")["extension"] == "imzml"
    for name, text in (("imzml", FILES["scan.imzML"]), ("ibd", FILES["scan.ibd"])):
        assert extra_file(person, ids["scan"], name) == text
    both = person.look(f"dataset_collections/{ids['both']}")
    assert [element["element_identifier"] for element in both["elements"]] == ["left", "right"]
    named = person.look(f"datasets/{about['outputs']['given copy']['id']}")["name"]
    assert named == "of nobody"
    shown = [leaves(value) for value in payload["inputs"].values() if isinstance(value, dict) and "elements" in value]
    assert sorted(map(str, shown)) == sorted(map(str, (
        {"s1": {"forward": "", "reverse": ""}, "s2": {"unpaired": ""}}, {"x": {"y": ""}}, {"left": "", "right": ""},
        {"s1": ""})))


def extra_file(person, dataset, name):
    answer = requests.get(f"{person.url}/api/datasets/{dataset}/display", params={"filename": name},
                          headers={"x-api-key": person.key}, timeout=60)
    assert answer.ok
    return answer.text


# Values that inputs do not take, and what is said of each. All of one line are in one job file.
REFUSED = [
    {"code": ("ABC", "input code: 'ABC' does not fit: letters and a digit"),
     "share": (1.5, "input share: 1.5 is not within 0"),
     "paint": ("green", "input paint: 'green' is not #rrggbb"),
     "picks": (["md5", "sha3"], "input picks: 'sha3' is not one of md5, sha1, sha256"),
     "header": ("perhaps", "input header: its value: 'perhaps' is neither true nor false"),
     "inside/head:lineNum": (0, "input inside/head:lineNum: 0 is not within 1"),
     "who": (None, "input who: is missing: who=VALUE gives it its value (text)"),
     "far": ({"class": "File", "path": "t.tsv", "deferred": True}, "t.tsv: deferred is for what Galaxy can fetch: a URL"),
     "scan": ({"class": "File", "filetype": "imzml", "composite_data": ["scan.ibd"]}, "here is scan.ibd and there is none"),
     "either": ({"class": "Collection", "elements": [{"class": "Collection", "identifier": "s", "elements": [
         {"class": "File", "identifier": "left", "path": "t.tsv"}]}]}, "either: the elements are forward and reverse, or"),
     "deep": (["t.tsv", "none.tsv"], "none.tsv: No such file"),
     "both": ({"left": {"class": "File", "path": "t.tsv"}}, "both: the elements of the record are left, right, not left"),
     "sheet": ({"class": "Collection", "elements": [{"class": "File", "identifier": "a", "path": "t.tsv"}],
                "rows": {"a": [10, None]}}, "input sheet: rows: a: dose: 10 is not within 0 to 9")},
    {"table": ("hdca:0123456789abcdef", "input table: hdca:0123456789abcdef: "),
     "picks": ("md5,sha3", "'sha3' is not one of"),
     "scan": ({"class": "File", "filetype": "imzml", "path": "t.tsv"}, "a datatype of several files in one (imzml, ibd)"),
     "sheet": ({"class": "Collection", "elements": [{"class": "File", "identifier": "a", "path": "t.tsv"}]},
               "input sheet: rows: expected values for each of a"), "nosuch": (1, "there is no input 'nosuch'")}]


@pytest.mark.parametrize("values", REFUSED, ids=["of each kind", "in other ways"])
def test_values_that_inputs_do_not_take_are_all_told_and_nothing_is_sent(person, folder, job, values):
    """A dry run says the same."""
    before = len(person.look("histories"))
    wrong = {**job, **{label: value for label, (value, _) in values.items()}}
    for options in (["--dry-run"], []):
        ended = run(person, folder, wrong, *options)
        assert (ended.returncode, ended.stdout) == (2, "") and f"{len(values)} things are wrong" in ended.stderr, ended
        assert [said for _, said in values.values() if said not in ended.stderr] == []
        assert "Traceback" not in ended.stderr and person.key not in ended.stderr
    assert len(person.look("histories")) == before


def test_a_sheet_gives_a_sample_sheet_its_values_lists_in_a_list_and_several_values(person, folder):
    for sample in ("s1", "s2"):
        (folder / sample).mkdir()
        (folder / sample / "in.tsv").write_text(f"{sample}\n")
    (folder / "sheet.csv").write_text('sample,reads,deep,picks,dose,note\ns1,s1/in.tsv,s1,"md5,sha1",05,NO\n'
                                      's2,s2/in.tsv,s2,"md5,sha1",7,\n')
    line = ["workflow_batch.py", "--as-collection", person.key, person.url, WORKFLOWS / "sheet.gxwf.yml",
            folder / "sheet.csv"]
    ended = person.run(*line, f"--download={folder}/results")
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    read = {name.rpartition(".")[0]: text for name, text in on_disk(folder / "results" / "sheet").items()}
    assert read == {
        "values": "element_identifier\tdose\tnote\ns1\t5\tNO\ns2\t7\t-\n",
        "deep copy/s1/in": "s1\n", "deep copy/s2/in": "s2\n",
        **{f"sums/{sample}": "#md5\tsha1\n" + "\t".join(hashlib.new(name, f"{sample}\n".encode()).hexdigest()
                                                        for name in ("md5", "sha1")) + "\n" for sample in ("s1", "s2")}}
    before = len(person.look("histories"))
    (folder / "sheet.csv").write_text('sample,reads,deep,picks,dose\ns1,s1/in.tsv,s1,"md5,sha3",x\n'
                                      's2,*.tsv,s2,"md5,sha3",7\n')
    refused = person.run(*line, f"--ledger={folder}/another")
    assert refused.returncode == 2 and len(person.look("histories")) == before
    for words in ("'sha3' is not one of md5, sha1, sha256", "is several files, and an element of a sample sheet is one",
                  "input reads: dose: 'x' is not an integer"):
        assert words in refused.stderr


def test_composite_and_deferred_datasets_are_uploaded(person, folder):
    line = ["dataset_upload.py", "--wait", "--format=value", "--fields=id,state", person.key, person.url, "new:composite"]
    dataset, state = person.value(*line, "--ext=imzml", folder / "scan.ibd", folder / "scan.imzML").split("\t")
    assert state == "ok" and [extra_file(person, dataset, name) for name in ("imzml", "ibd")] == ["index\n", "data\n"]
    dataset, state = person.value(*line, "--deferred", "--name=far.tsv", FAR).split("\t")
    about = person.look(f"datasets/{dataset}")
    assert (state, about["name"], about["sources"][0]["source_uri"]) == ("deferred", "far.tsv", FAR)
    for words in (["--ext=imzml", folder / "scan.ibd"], ["--deferred", folder / "t.tsv"],
                  ["--deferred", "--ext=imzml", f"{FAR}.imzML", f"{FAR}.ibd"]):
        assert person.run(*line, *words).returncode == 2
