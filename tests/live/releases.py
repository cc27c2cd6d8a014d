"""What the releases of Galaxy lack, and what the scripts do there: the one list, for the tests that are skipped on a release
(`@pytest.mark.needs(NAME)`) and for docs/releases.md.
"""
from typing import NamedTuple

NEWEST = "26.1"
SERIES = ["24.1", "24.2", "25.0", "25.1", "26.0", NEWEST]

# Why a test of the second Galaxy, `prefixed`, is skipped where the first one is as production has it.
NOT_IN_PRODUCTION = "it runs on a second Galaxy, under a prefix and with features switched off, the same as for 26.1"


class Lack(NamedTuple):
    """What servers before `since` lack. The `scripts` are `adapted`: they do their job in another way, told in `text`; or
    they do not do it there, and `text` tells the request that is refused, and what the user is told."""

    since: str
    feature: str
    scripts: tuple
    adapted: bool
    text: str


ADAPTED, REFUSED = True, False
UPLOADING = ("collection_create.py", "dataset_upload.py", "example_watch_folder.py", "fetch_to_library.py",
             "folder_watch.py", "library_sync.py", "library_upload_dir.py", "upload_to_history.py", "workflow_batch.py",
             "workflow_run.py")

LACKS = {
    "hashes": Lack("24.2", "hashes of files that are fetched", UPLOADING, ADAPTED, """
        POST `/api/tools/fetch` with `hashes` is refused (400, "Extra inputs are not permitted"): Galaxy compares the
        MD5 of each file in place of the SHA-256, and a dataset whose bytes differ ends in `error` as on newer
        servers. What it fetches from an address with another hash than an MD5 is not compared; a warning says so."""),
    "metrics": Lack(
        "24.2", "the metrics of all jobs of an invocation", ("invocation_report.py", "invocation_show.py"), ADAPTED, """
        GET `/api/invocations/ID/metrics` is 404: each job is asked for its own."""),
    "request": Lack("24.2", "the request that an invocation was made by", ("invocation_rerun.py",), REFUSED, """
        GET `/api/invocations/ID/request` is 404, and nothing else tells the parameters of a run: `running an
        invocation again needs Galaxy 24.2 or later, and SERVER is 24.1: nothing there tells which parameters it ran
        with; workflow_run.py runs its workflow on the same datasets (hda:ID)`."""),
    "validators": Lack("24.2", "limits and patterns of a workflow's parameters", (), ADAPTED, """
        Galaxy keeps and checks none, so there is nothing to check."""),
    "cached twins": Lack("24.2", "results of equal jobs that have one dataset in two inputs",
                         ("tool_run.py", "workflow_run.py"), ADAPTED, """
        `use_cached_job` of POST `/api/workflows/ID/invocations` finds no equal job of a tool that has the same dataset in
        two inputs: that one runs again."""),
    "library display": Lack(
        "25.0", "downloads of libraries' datasets by the route of the others",
        ("dataset_download.py",), ADAPTED, """
        GET `/api/datasets/ID/display?hda_ldda=ldda` is an error 500: the bytes come by
        `/api/libraries/datasets/download/uncompressed`, and a download that was cut starts over."""),
    "elements_states": Lack(
        "25.1", "the number of a collection's elements in each state",
        ("collection_create.py", "dataset_list.py", "dataset_show.py", "dataset_wait.py", "invocation_report.py",
         "filter_failed_datasets_from_collection.py"), ADAPTED, """
        GET `/api/dataset_collections/ID?view=collection` answers without `elements_states`: the elements are counted."""),
    "quota": Lack("25.1", "jobs that wait where a quota is used up", (), ADAPTED, """
        A fetch runs all the same (24.1.4, 25.0.4), so no script meets a paused one."""),
    "single reads": Lack("25.0", "collections of type paired_or_unpaired",
                         ("collection_create.py", "workflow_batch.py", "workflow_run.py"), REFUSED, """
        POST `/api/dataset_collections` knows no such type, so one is refused before anything is sent: `a collection of
        type list:paired_or_unpaired needs Galaxy 25.0 or later, and SERVER is 24.2: make a list there`."""),
    "sample sheets": Lack("25.1", "collections of type record and sample_sheet", ("workflow_run.py",), REFUSED, """
        POST `/api/dataset_collections` knows no such type, so a job file with one is refused before anything is sent:
        `a collection of type record needs Galaxy 25.1 or later, and SERVER is 25.0: make a list there`."""),
    "copy_contents": Lack("26.0", "copies of many datasets by one request", (), ADAPTED, """
        Only a test wants that."""),
    "fetched folders": Lack(
        "26.0", "folders of a library that a fetch makes, with Celery", ("fetch_to_library.py",), ADAPTED, """
        POST `/api/tools/fetch` into a library with elements inside others is taken, and its job stays `running` for ever,
        because the worker fails over the folder: a warning says so before, and to make the folders first."""),
    "first bytes": Lack(
        "26.0", "bytes in the request that creates an upload's session",
        UPLOADING, ADAPTED, """
        POST `/api/upload/resumable_upload` with bytes makes a session without them: a small file takes two requests."""),
    "jobs of subworkflows": Lack(
        "26.0", "jobs of subworkflows in the summary of an invocation",
        ("folder_watch.py", "invocation_cancel.py", "invocation_rerun.py", "invocation_wait.py", "workflow_batch.py",
         "workflow_run.py"), ADAPTED, """
        GET `/api/invocations/ID/jobs_summary` leaves them out without a word: each subworkflow is asked for its own once no
        other job moves, and `--fail-fast` sees their failures then."""),
    "on_complete": Lack("26.0", "actions at the end of an invocation", ("workflow_run.py",), REFUSED, """
        POST `/api/workflows/ID/invocations` ignores `on_complete` without a word, so `--on-complete` is refused
        before anything is sent: `--on-complete needs Galaxy 26.0 or later, and SERVER is 24.1: invocation_wait.py
        waits for the end, so that your own script can act then`."""),
    "datatypes": Lack("26.1", "some datatypes of newer servers", UPLOADING, ADAPTED, """
        POST `/api/tools/fetch` with `ext` `gtf.gz`, say, is refused on 24.1 ("Requested extension 'gtf.gz' unknown"):
        where a file's name tells such a datatype, Galaxy guesses by the content, and a warning says so."""),
    "pick_value": Lack("26.1", "workflow steps of type pick_value", (), ADAPTED, """
        POST `/api/workflows` of such a workflow is an error 500."""),
    "limits": Lack("26.1", "limits of repeats as numbers", ("tool_run.py",), ADAPTED, """
        GET `/api/tools/ID?io_details=true` writes `"__Infinity__"` for a repeat without a limit: there is none then."""),
    "runs of WES": Lack("26.0", "the runs of GA4GH's WES", (), REFUSED, """
        There is no `/ga4gh/wes/v1/runs`."""),
    "described routes": Lack(
        "26.1", "operations as our table of undescribed ones tells them", ("route_list.py", "route_show.py"), ADAPTED, """
        What a server says of itself is taken from there. The table of what it leaves out was tried on 26.1: some of these
        operations lack a field on an older one, or are not there."""),
}


def is_older(series, since):
    """Whether a release, such as 24.2, is before another."""
    return tuple(map(int, series.split("."))) < tuple(map(int, since.split(".")))
