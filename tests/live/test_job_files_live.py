"""Job files as planemo 0.75 writes them, unchanged or filled in by a person, run by workflow_run.py on a real Galaxy.

In workflows/: NAME.gxwf-job.yml is what `planemo workflow_job_init NAME.gxwf.yml` has written, NAME-filled-job.yml the same
filled in, NAME.gxwf-tests.yml with its test-data what `planemo workflow_test_init --from_invocation` has made of a run.
"""
import hashlib
import json
from pathlib import Path

import pytest
import yaml

from .conftest import WORKFLOWS
from .test_workflow_run_live import on_disk, ran


def fetched(folder):
    """{path without its extension: text} of what was fetched."""
    return {str(Path(path).with_suffix("")): text for path, text in on_disk(folder).items()}


@pytest.mark.parametrize("name, inputs", [("parameters", ["table", "aside", "lines"]),
                                          ("collections", ["one", "tables", "pair", "samples"])])
def test_a_template_that_nobody_filled_in(person, name, inputs):
    """Each input that has a placeholder is named, and nothing is sent."""
    before = len(person.look("histories"))
    ended = ran(person, name, f"--job={WORKFLOWS}/{name}.gxwf-job.yml", status=2)
    told = [line for line in ended.stderr.splitlines() if line.startswith("- ")]
    assert [line.split(":")[0].removeprefix("- input ") for line in told] == inputs
    assert all(line.endswith("is a placeholder: fill it in") for line in told)
    assert len(person.look("histories")) == before


def test_parameters_filled_in(person, tmp_path):
    ran(person, "parameters", f"--job={WORKFLOWS}/parameters-filled-job.yml", f"--download={tmp_path}/out")
    assert fetched(tmp_path / "out") == {"first": "a\t1\na\t2\n", "kept": "1\n2\n", "doubled": "1\t1\n2\t2\n",
                                         "whole": "a\t1\na\t2\nb\t5\n"}


def test_collections_filled_in(person, tmp_path):
    ended = ran(person, "collections", f"--job={WORKFLOWS}/collections-filled-job.yml", f"--download={tmp_path}/out",
                "--format=value", "--fields=path")
    read = {(sample, way): (WORKFLOWS / "test-data" / f"{sample}_{mate}.fastq").read_text()
            for sample in ("s1", "s2") for way, mate in (("forward", "R1"), ("reverse", "R2"))}
    assert fetched(tmp_path / "out") == {
        "beside/first": "a\t1\ta\t7\na\t2\t\nb\t5\t\n", "beside/second": "a\t7\ta\t7\n",
        **{f"pair copied/{way}": text for (sample, way), text in read.items() if sample == "s1"},
        **{f"samples copied/{sample}/{way}": text for (sample, way), text in read.items()}}
    assert ended.stdout.splitlines() == [f"{tmp_path}/out/{label}" for label in ("beside", "pair copied", "samples copied")]


def test_a_file_of_tests_unchanged(person, tmp_path):
    """Its job is run, and the results are those that it asks for."""
    file = WORKFLOWS / "parameters.gxwf-tests.yml"
    [test] = yaml.safe_load(file.read_text())
    ran(person, "parameters", f"--job={file}", f"--download={tmp_path}/out")
    assert fetched(tmp_path / "out") == {label: (WORKFLOWS / output["path"]).read_text()
                                         for label, output in test["outputs"].items()}


def test_the_collections_in_a_file_of_tests(person):
    """They are made of the files beside it; test_collections_filled_in runs the same."""
    ended = ran(person, "collections", "--dry-run", "--format=json", f"--job={WORKFLOWS}/collections.gxwf-tests.yml")
    inputs = json.loads(ended.stdout)["payload"]["inputs"]
    assert inputs["0"]["upload"] == f"{WORKFLOWS}/test-data/one.tabular"
    assert [(inputs[index]["collection_type"], list(inputs[index]["elements"])) for index in "123"] == [
        ("list", ["first", "second"]), ("paired", ["forward", "reverse"]), ("list:paired", ["s1", "s2"])]


def test_a_files_name_build_tags_and_hash(person, tmp_path):
    (tmp_path / "t1.tsv").write_text("a\t1\na\t2\nb\t5\n")
    (tmp_path / "job.yml").write_text(f"""
table: {{class: File, path: t1.tsv, filetype: tabular, name: from a job, dbkey: hg38, tags: ['name:x'],
        hashes: [{{hash_function: MD5, hash_value: {hashlib.md5((tmp_path / "t1.tsv").read_bytes()).hexdigest()}}}]}}
lines: 2
column: c2
aside: null
""")
    ran(person, "parameters", "--no-wait", f"--job={tmp_path}/job.yml", f"--record={tmp_path}/run.json")
    run = json.loads((tmp_path / "run.json").read_text())["invocation"]
    dataset = person.look(f"datasets/{person.look(f'invocations/{run}')['inputs']['0']['id']}")
    assert (dataset["state"], dataset["name"], dataset["genome_build"], dataset["tags"]) == (
        "ok", "from a job", "hg38", ["name:x"])
