import pytest
from fakes import KEY

from common import FAILED, STILL_RUNNING, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.collections import (
    ElementSource,
    arrange_elements,
    collection_problems,
    element_datasets,
    nest_elements,
    wait_until_filled,
)
from galaxy_api_scripts.datasets.sources import Source

MADE = {"id": "c", "history_id": "h"}


def parts(*names):
    return [ElementSource(name, f"/in/{name}") for name in names]


def refused(call, *arguments, code=USAGE):
    with pytest.raises(GalaxyError) as caught:
        call(*arguments)
    assert caught.value.exit_code == code
    return str(caught.value)


def test_a_list():
    elements = arrange_elements("list", parts("b.fastq.gz", "a.1.bed", "c"))
    assert list(elements) == [("b",), ("a.1",), ("c",)]
    assert elements["b",].location == "/in/b.fastq.gz"


def test_pairs():
    named = parts("b_R2.fq", "b_R1.fq", "a_1_R1.fq", "a_1_R2.fq")
    elements = arrange_elements("list:paired", named)
    assert {names: part.name for names, part in elements.items()} == {
        ("b", "forward"): "b_R1.fq", ("b", "reverse"): "b_R2.fq",
        ("a_1", "forward"): "a_1_R1.fq", ("a_1", "reverse"): "a_1_R2.fq"}
    assert list(arrange_elements("paired", named[:2])) == [("forward",), ("reverse",)]


def test_parts_that_cannot_be_arranged_are_refused():
    assert "nothing" in refused(arrange_elements, "list", [])
    assert "/in/a.fq and /in/a.fastq: both would be 'a'" in refused(
        arrange_elements, "list", parts("a.fq", "b.fq", "a.fastq"))
    twice = [ElementSource("a_1.fq", "/x/a_1.fq"), ElementSource("a_1.fq",
                           "/y/a_1.fq"), ElementSource("a_2.fq", "/x/a_2.fq")]
    assert "/x/a_1.fq and /y/a_1.fq" in refused(arrange_elements, "list:paired", twice)
    assert "no a_2.fq" in refused(arrange_elements, "list:paired", parts("a_1.fq"))
    assert "here are 2" in refused(arrange_elements, "paired", parts("a_1.fq", "a_2.fq", "b_1.fq", "b_2.fq"))


def test_the_longest_name():
    assert arrange_elements("list", parts("x" * 219 + ".bed"))
    assert "too long" in refused(arrange_elements, "list", parts("x" * 220 + ".bed"))
    assert arrange_elements("list:paired", parts("x" * 211 + "_1", "x" * 211 + "_2"))
    assert "too long" in refused(arrange_elements, "list:paired", parts("x" * 212 + "_1", "x" * 212 + "_2"))


def test_elements_are_nested_as_requests_take_them():
    def wrap(kind, inner):
        return {"type": kind, "elements": inner}

    assert nest_elements({("a",): {"src": "x", "name": "a.bed"}}, "list", wrap) == [{"src": "x", "name": "a"}]
    ends = ("forward", "reverse")
    leaves = {(outer, sample, end): {"id": sample + end} for outer in "xy" for sample in "ab" for end in ends}
    pairs = [{"name": sample, "type": "paired", "elements": [{"id": f"{sample}{end}", "name": end} for end in ends]}
             for sample in "ab"]
    assert nest_elements(leaves, "list:list:paired", wrap) == [
        {"name": outer, "type": "list:paired", "elements": pairs} for outer in "xy"]
    assert nest_elements({}, "list", wrap) == []


@pytest.mark.parametrize("kind, names, found", [
    ("paired_or_unpaired", ["a_R1.fq", "a_R2.fq"], [("forward",), ("reverse",)]),
    ("paired_or_unpaired", ["a.fq"], [("unpaired",)]),
    ("list:paired_or_unpaired", ["c.fq", "a_R2.fq", "b_R1.fq", "a_R1.fq"],
     [("c", "unpaired"), ("a", "forward"), ("a", "reverse"), ("b", "unpaired")]),
    ("list:list", ["x/a.bed", "y/a.bed", "x/b.bed"], [("x", "a"), ("x", "b"), ("y", "a")]),
    ("list:list:list", ["x/y/a.bed", "x/z/a.bed"], [("x", "y", "a"), ("x", "z", "a")]),
    ("list:list:paired", ["x/a_1.fq", "x/a_2.fq", "y/a_2.fq", "y/a_1.fq"],
     [(folder, "a", mate) for folder in "xy" for mate in ("forward", "reverse")])])
def test_lists_in_lists_and_single_reads(kind, names, found):
    """By the folders of files; of datasets, by those in their names."""
    for elements in (parts(*names), [ElementSource(name, f"hda:{name[0]}") for name in names]):
        if any("/" in name for name in names) and elements[0].location.startswith("/"):
            elements = [ElementSource(name.rpartition("/")[2], f"/in/{name}") for name in names]
        assert list(arrange_elements(kind, elements)) == found


def as_source(path, name="", **about):
    return ElementSource(name or path.rpartition("/")[2], path, Source(path, name or path, "tabular", None, **about))


def test_outer_elements_are_named_by_folders_with_odd_names_and_by_the_paths_of_urls():
    found = arrange_elements("list:list", [
        as_source("/d/run#1/a.tsv"), as_source("/d/lane?1/b.tsv"),
        as_source("https://h/run1/a.tsv?download=1&x=a/b", "a.tsv"), as_source("ftp://h/run2/c#x.tsv", "c.tsv"),
        as_source("/d/l1/x.fq + x.fq", "x.fq", parts=("/d/l1/x.fq", "/e/l2/x.fq")), ElementSource("h#3/a.tsv", "hda:1")])
    assert list(found) == [("run#1", "a"), ("lane?1", "b"), ("run1", "a"), ("run2", "c"), ("l1", "x"), ("h#3", "a")]
    assert "is in no folder" in refused(arrange_elements, "list:list", [as_source("https://h/a.tsv?x=/1/2")])


@pytest.mark.parametrize("first, second", [("/r1/fastq", "/r2/fastq"), ("https://h/r1", "https://other/r1")])
def test_two_folders_of_one_name_are_not_mixed(first, second):
    assert f"{first} and {second}: both would be {first.rpartition('/')[2]!r} in the collection" in refused(
        arrange_elements, "list:list", [as_source(f"{first}/a.tsv"), as_source(f"{second}/b.tsv")])
    assert len(arrange_elements("list", [as_source(f"{first}/a.tsv"), as_source(f"{second}/b.tsv")])) == 2


@pytest.mark.parametrize("kind, names, words", [
    ("paired_or_unpaired", ["a.fq", "b.fq"], "takes one pair, and here are 2"),
    ("list:paired_or_unpaired", ["a_R2.fq"], "no a_R1"),
    ("list:paired_or_unpaired", ["a.fq", "a_R1.fq", "a_R2.fq"], "two samples would be 'a'"),
    ("list:list", ["a.fq"], "is in no folder, which would name the outer element of a list:list")])
def test_what_has_no_place_in_such_a_collection(kind, names, words):
    assert words in refused(arrange_elements, kind, [ElementSource(name, "hda:1") for name in names])


def element(name, **about):
    return {"element_identifier": name, "element_type": "hda", "object": {"state": "ok", "file_size": 3, **about}}


def collection(*elements, **about):
    return {**MADE, "hid": 7, "populated_state": "ok", "populated_state_message": None,
            "elements": list(elements), **about}


def test_datasets_of_inner_collections():
    inner = {"element_identifier": "s", "element_type": "dataset_collection",
             "object": {"elements": [element("forward", id="f"), element("reverse", id="r")]}}
    assert [(names, about["id"]) for names, about in element_datasets([inner, element("x", id="x")])] == [
        (("s", "forward"), "f"), (("s", "reverse"), "r"), (("x",), "x")]


def test_it_is_filled_when_jobs_and_datasets_have_ended(loopback, clock):
    half = collection(element("a"), element("b", state="setting_metadata"))
    loopback.will((200, {"state": "new"}), (200, {"state": "ok"}), (200, half), (200, {"state": "ok"}), (200, collection()))
    assert wait_until_filled(Galaxy(KEY, loopback.url), {**MADE, "jobs": ["j"]}) == collection()
    assert [asked.path for asked in loopback.asked[-2:]] == [
        "/api/jobs/j", "/api/histories/h/contents/dataset_collections/c"]


def test_a_collection_that_is_not_filled_is_an_error(loopback, clock):
    galaxy = Galaxy(KEY, loopback.url)
    loopback.will((200, {"state": "ok"}), (200, collection(populated_state="failed", populated_state_message="no such url")))
    assert "collection c was not filled: no such url" in refused(
        wait_until_filled, galaxy, {**MADE, "jobs": ["j"]}, code=FAILED)
    loopback.will((200, {"state": "error"}), (200, collection(populated_state="new")))
    assert "its job ended in state error" in refused(wait_until_filled, galaxy, {**MADE, "jobs": ["j"]}, code=FAILED)
    loopback.will((200, {"state": "running"}))
    assert "still being filled after 5 s" in refused(
        wait_until_filled, galaxy, {**MADE, "jobs": ["j"]}, 5, code=STILL_RUNNING)


def test_an_outer_wait_ends_the_inner_one(loopback, clock):
    loopback.will((200, {"state": "running"}))
    galaxy = Galaxy(KEY, loopback.url)
    for _ in galaxy.poll(20):
        assert "collection c is still being filled" in refused(
            wait_until_filled, galaxy, {**MADE, "jobs": ["j"]}, code=STILL_RUNNING)
        break
    assert round(sum(clock.slept)) == 20


def looked_at(loopback, *made, hashes=("5ad",), size=3):
    """What `collection_problems` says of a file of three bytes."""
    known = [{"hash_function": "SHA-256", "hash_value": one} for one in hashes]
    loopback.will((200, [{"id": "d", "hashes": known}, {"id": "d"}]))
    part = ElementSource("a.bed", "/in/a.bed", Source("/in/a.bed", "a.bed", "bed", size))
    leaf = {"src": "files", "hashes": [{"hash_function": "SHA-256", "hash_value": "5ad"}]}
    return collection_problems(Galaxy(KEY, loopback.url), collection(*made), {("a",): part}, {("a",): leaf})


def test_elements_that_arrived_have_no_problem(loopback):
    assert looked_at(loopback, element("a", id="d")) == []
    assert loopback.asked[0].path.startswith("/api/datasets?")
    assert "history_id=h" in loopback.asked[0].path and "q=hid-ge&qv=7" in loopback.asked[0].path
    assert looked_at(loopback, element("a", id="d", file_size=0), size=0) == []


def test_a_galaxy_without_hashes_is_judged_by_sizes(loopback):
    loopback.will((200, [{"id": "d"}]))
    part = ElementSource("a.bed", "/in/a.bed", Source("/in/a.bed", "a.bed", "bed", 3))
    leaf = {"src": "files", "hashes": [{"hash_function": "SHA-256", "hash_value": "5ad"}]}
    assert collection_problems(Galaxy(KEY, loopback.url), collection(
        element("a", id="d")), {("a",): part}, {("a",): leaf}) == []


def test_each_element_that_did_not_arrive_is_a_problem(loopback):
    line = "/in/a.bed: a: "
    assert looked_at(loopback, element("b", id="d")) == [line + "Galaxy has no such element"]
    assert looked_at(loopback, element("a", id="d", file_size=0)) == [line + "dataset d has 0 bytes, 3 were sent"]
    assert looked_at(loopback, element("a", id="d"), hashes=()) == [
        line + "dataset d has another SHA-256 than the bytes that were sent"]


def test_a_problem_has_galaxys_reason(loopback):
    loopback.will((200, {"misc_info": "not bgzip"}))
    made = collection(element("a", id="d", state="failed_metadata"))
    url = "https://example.org/a.vcf.gz"
    part = ElementSource("a.vcf.gz", url, Source(url, "a.vcf.gz", "vcf_bgzip", None))
    assert collection_problems(Galaxy(KEY, loopback.url), made, {("a",): part}, {("a",): {"src": "url"}}) == [
        f"{url}: a: dataset d ended in state failed_metadata: not bgzip"]
    assert [asked.path for asked in loopback.asked] == ["/api/datasets/d"]


def test_datasets_of_any_size_are_fine(loopback):
    made = collection(element("a", id="d"))
    assert collection_problems(Galaxy(KEY, loopback.url), made, {("a",): ElementSource("a", "d0")}, {
                               ("a",): {"src": "hda", "id": "d0"}}) == []
    assert loopback.asked == []
