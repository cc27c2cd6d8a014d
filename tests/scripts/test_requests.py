"""The requests of each path to its end, counted again: docs/performance.md has them in a table, so that none creeps in."""
import re
from collections import Counter
from pathlib import Path

import collection_create
import dataset_download
import dataset_upload
import pytest
import workflow_batch
import workflow_run
from fakes import KEY
from fakes.galaxy import NAME, WORKFLOW

PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text("utf-8")
ROWS = {name: (int(number), which) for name, number, which in re.findall(
    r"^\| `([^|]+)` \| (\d+) \| [^|]* \| [^|]* \| ([^|]+) \|$", PAGE.partition("## How many requests")[2], re.MULTILINE)}


def run_one(workflow, *options):
    return lambda folder: (workflow_run, f"--download={folder}/to", *options, workflow, f"table={folder}/0.tsv")


def run_batch(count):
    def line(folder):
        (folder / "sheet.tsv").write_text("sample\ttable\n" + "".join(f"s{n}\t{n}.tsv\n" for n in range(count)))
        return workflow_batch, f"--download={folder}/to", NAME, str(folder / "sheet.tsv")
    return line


def upload(count):
    return lambda folder: (dataset_upload, "--wait", "new:H", *(f"{folder}/{number}.tsv" for number in range(count)))


def download(*sources):
    return lambda folder: (dataset_download, f"--to={folder}/to", *sources)


def collect(folder):
    return collection_create, "new:H", "reads", *(f"{folder}/{number}.tsv" for number in range(10))


PATHS = {"workflow_run.py, one file": run_one(NAME), "workflow_run.py by the workflow's id, one file": run_one(WORKFLOW),
         "workflow_run.py --history=NAME, one file": run_one(NAME, "--history=H"),
         "workflow_batch.py, one sample": run_batch(1), "workflow_batch.py, ten samples": run_batch(10),
         "dataset_upload.py --wait, one file": upload(1), "dataset_upload.py --wait, ten files": upload(10),
         "dataset_download.py, a history of ten": download("history:0000000000000001"),
         "dataset_download.py, ten ids": download(*(f"{number:016x}" for number in range(2, 12))),
         "collection_create.py, ten files": collect}

LOOKS = ("datasets", "jobs_summaries")      # of a batch, for all of its samples together


@pytest.mark.parametrize("name", PATHS)
def test_a_path_asks_as_often_as_the_page_says(name, wire, script, tmp_path, clock, capsys):
    wire.polls = 0      # all has ended when it is looked at for the first time
    for number in range(10):
        (tmp_path / f"{number}.tsv").write_text(f"{number}\n")
    if name.startswith(("dataset_download", "workflow_run.py --history")):
        history = wire.post_histories({}, {"name": "H"})["id"]
        for number in range(10 * name.startswith("dataset_download")):
            wire._dataset(wire.histories[history], f"{number}.tsv", "tabular", b"x\n", state="ok")
    module, *words = PATHS[name](tmp_path)
    options = [word for word in words if word.startswith("--")]
    assert script(module.main, *options, KEY, wire.url, *words[len(options):]) == 0
    asked = Counter(kind.removeprefix("GET ") for kind in wire.kinds)       # some come side by side, in any order
    number, which = ROWS[name]
    if name == "workflow_batch.py, ten samples":        # one whose thread is slow is seen by a later look
        assert all(1 <= asked[look] <= 10 for look in LOOKS)
        for look in LOOKS:
            asked[look] = 1
    assert sorted(which.split(", ")) == sorted(f"{count} {kind}" if count > 1 else kind for kind, count in asked.items())
    assert number == sum(asked.values())
