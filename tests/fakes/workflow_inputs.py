"""A workflow with an input of each kind, and a Galaxy that has some data: for the tests of inputs' values."""
import pytest

from common import Galaxy
from fakes import KEY, URL
from galaxy_api_scripts.workflows import job_file
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputValues


def step(kind, **settings):
    return {"type": kind, "tool_inputs": {"optional": False, **settings}}


INPUTS = {
    "reads": step("data_input", format=["fastqsanger.gz"]),
    "beds": step("data_collection_input", collection_type="list"),
    "pairs": step("data_collection_input", collection_type="list:paired", optional=True),
    "pair": step("data_collection_input", collection_type="paired", optional=True),
    "word": step("parameter_input", parameter_type="text", default="x"),
    "words": step("parameter_input", parameter_type="text", multiple=True, optional=True),
    "count": step("parameter_input", parameter_type="integer", default=1, min=0, max=9),
    "share": step("parameter_input", parameter_type="float", default=0.5,
                  validators=[{"type": "in_range", "min": "0", "max": "1"}]),
    "flag": step("parameter_input", parameter_type="boolean", default=False),
    "paint": step("parameter_input", parameter_type="color", optional=True),
    "choice": step("parameter_input", parameter_type="text", optional=True, restrictions=["a", {"value": "b"}]),
    "a = b": step("data_input", optional=True),
    "both": step("data_collection_input", collection_type="record", optional=True,
                 fields=[{"name": "left", "type": "File"}, {"name": "right", "type": "File"}]),
    "sheet": step("data_collection_input", collection_type="sample_sheet", optional=True, column_definitions=[
        {"name": "dose", "type": "int", "optional": False, "validators": [{"type": "in_range", "min": 0, "max": 9}]},
        {"name": "note", "type": "string", "optional": True}]),
    "deep": step("data_collection_input", collection_type="list:list", optional=True),
}
WORKFLOW = {"id": "w", "name": "n", "ids": {}, "steps": {str(number): step for number, step in enumerate(INPUTS.values())},
            "inputs": {str(number): {"label": label, "uuid": f"u{number}"} for number, label in enumerate(INPUTS)}}
INDEX = {label: str(number) for number, label in enumerate(INPUTS)}


@pytest.fixture
def files(tmp_path):
    for name in ("a.imzML", "a.ibd", "a.fastq.gz", "b.fastq.gz", "s1_R1.fastq.gz", "s1_R2.fastq.gz", "s2_R1.fastq.gz",
                 "s2_R2.fastq.gz", "a.bed", "b.bed", "plain"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def galaxy(requests_mock):
    answers = {"datasets/d1": {"id": "d1", "name": "one.bed", "state": "ok", "deleted": False},
               "datasets/d2": {"id": "d2", "name": "two.bed", "state": "ok", "deleted": False},
               "libraries/datasets/ld2": {"id": "ld2", "name": "three.bed", "state": "ok", "deleted": False},
               "datasets/gone": {"id": "gone", "name": "x", "state": "ok", "deleted": True},
               "datasets/bad": {"id": "bad", "name": "x", "state": "error", "deleted": False},
               "dataset_collections/c1": {"id": "c1", "name": "c", "collection_type": "list", "populated_state": "ok"},
               "dataset_collections/c2": {"id": "c2", "name": "c", "collection_type": "list:paired",
                                          "populated_state": "ok"},
               "datatypes": [*({"extension": ext} for ext in ("bed", "tabular", "txt", "fastqsanger", "fastqsanger.gz")),
                             {"extension": "imzml", "composite_files": [
                                 {"name": name, "optional": name == "extra"} for name in ("imzml", "ibd", "extra")]}],
               "genomes": [["unspecified (?)", "?"], ["Human (hg38)", "hg38"]],
               "users/current": {"id": "me"}, "users/me/custom_builds": [],
               "libraries": [{"id": "lab", "name": "Lab", "deleted": False, "root_folder_id": "F1"}],
               "folders/F1/contents": {"metadata": {"total_rows": 1}, "folder_contents": [
                   {"id": "F2", "type": "folder", "name": "in"}]},
               "folders/F2/contents": {"metadata": {"total_rows": 1}, "folder_contents": [
                   {"id": "ld1", "type": "file", "name": "a.bed", "state": "ok", "deleted": False}]}}
    for path, answer in answers.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    requests_mock.get(f"{URL}/api/datasets/none", status_code=404, json={"err_msg": "no such dataset"})
    requests_mock.get(f"{URL}/api/datasets/12", status_code=400, json={"err_msg": "Value error, Invalid id length"})
    requests_mock.get(f"{URL}/api/histories/h/contents", json=[
        {"id": "d1", "hid": 3, "name": "one.bed", "history_content_type": "dataset", "deleted": False, "state": "ok"},
        {"id": "c1", "hid": 4, "name": "c", "history_content_type": "dataset_collection", "deleted": False,
         "collection_type": "list", "populated_state": "ok"}])
    return Galaxy(KEY, URL)


@pytest.fixture
def parse(galaxy):
    """`parse(words)`: the `InputValues` of these words and of a job file, with `{label: value}` as `by_label`."""
    def parse_words(*words, job=None, history="", complete=False):
        values = InputValues(galaxy, WORKFLOW, history)
        values.set_from_args([str(word) for word in words])
        if job:
            job_file.read_job_file(values, str(job))
        if complete:
            values.check_missing()
        values.by_label = {label: values.values[index] for label, index in INDEX.items() if index in values.values}
        return values
    return parse_words


def shape(value):
    """A value in short: the name of a file to upload, the reference to data in Galaxy, a collection's elements."""
    if isinstance(value, DatasetInput):
        return value.ref or value.name
    if isinstance(value, CollectionInput):
        return {value.type: {name: shape(element) for name, element in value.elements}}
    return value
