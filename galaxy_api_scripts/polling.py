"""Ask for many datasets or jobs by id in few requests, whatever their histories, and wait until all have ended."""
from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Union

from common import (
    DONE,
    FAILED,
    NON_TERMINAL_DATASET_STATES,
    NON_TERMINAL_JOB_STATES,
    SOME_FAILED,
    STILL_RUNNING,
    TRY_LATER,
    Galaxy,
    GalaxyError,
    parse_id,
    read_text,
    report_error,
)

DEAD_JOB_STATES = {"error", "failed", "deleting", "deleted", "stopped"}
STUCK_INTERVAL = 8      # looks between two questions whether jobs have ended without their datasets
IDS_PER_REQUEST = 100   # ids of 32 letters make an address of 4.5 KB; nginx takes 8 KB
DatasetOrError = Union["dict[str, Any]", GalaxyError]


def fetch_datasets(galaxy: Galaxy, ids: list[str], fields: Iterable[str], own: bool = False, untyped: Container[str] = ()
                   ) -> Iterator[tuple[str, DatasetOrError]]:
    """Each of `ids` with these `fields` of its dataset, or with the `GalaxyError` that says why there is none.

    One request for a hundred finds the user's own ones (`GET /api/datasets` by `type_id-in`, 26.1); others are asked for one
    by one. If they must be `own`, because something is done to them, another user's are refused to all but administrators;
    those that are `untyped`, to all: Galaxy's ids carry no type, so it may be a collection's id that was meant.
    """
    keys = ",".join(dict.fromkeys(["id", *fields]))
    if galaxy.key is None:      # that list is for users only
        yield from ((dataset_id, _fetch_dataset(galaxy, dataset_id, own, False)) for dataset_id in ids)
        return
    for batch, answer in in_batches(lambda batch: _list_datasets(galaxy, batch, keys), ids):
        datasets = {} if isinstance(answer, GalaxyError) else {dataset["id"]: dataset for dataset in answer}
        for dataset_id in batch:
            if isinstance(answer, GalaxyError):
                yield dataset_id, GalaxyError(f"dataset {dataset_id}: {answer}")
            else:       # Galaxy takes ids in capitals too, and answers with small letters
                yield dataset_id, datasets.get(dataset_id.lower()) or _fetch_dataset(
                    galaxy, dataset_id, own, dataset_id in untyped)


def _list_datasets(galaxy: Galaxy, batch: list[str], keys: str) -> Any:
    return galaxy.get("datasets", {"q": "type_id-in", "qv": ",".join(f"dataset-{dataset_id}" for dataset_id in batch),
                                   "keys": keys, "limit": len(batch)})


def _fetch_dataset(galaxy: Galaxy, dataset_id: str, own: bool, is_untyped: bool) -> DatasetOrError:
    try:
        dataset = galaxy.get(f"datasets/{dataset_id}")
    except GalaxyError as error:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise
        return error
    if not isinstance(dataset, dict) or not dataset.get("id"):
        return GalaxyError(f"dataset {dataset_id}: {galaxy.base} answers with something else: is it a Galaxy?")
    label = f"dataset {dataset_id}: {dataset.get('name')!r} is in somebody else's history"
    if own and not galaxy.current_user().get("is_admin"):
        return GalaxyError(label)
    if is_untyped:
        return GalaxyError(f"{label}: hda:{dataset_id} if you mean that one; hdca:ID is a collection, ldda:ID a library's "
                           "dataset")
    return dataset


def in_batches(ask: Callable[[list[str]], Any], ids: list[str]) -> Iterator[tuple[list[str], Any]]:
    """`(batch, ask(batch))` for all of `ids`, a hundred at a time. If one of them spoils the request, as an id that Galaxy
    can't decode does, the batch is halved until that one is alone with its `GalaxyError`."""
    for start in range(0, len(ids), IDS_PER_REQUEST):
        yield from _halve_until_answered(ask, ids[start:start + IDS_PER_REQUEST])


def _halve_until_answered(ask: Callable[[list[str]], Any], batch: list[str]) -> Iterator[tuple[list[str], Any]]:
    answer: Any
    try:
        answer = ask(batch)
    except GalaxyError as error:
        if error.status not in (400, 500):
            raise
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from _halve_until_answered(ask, batch[:middle])
            yield from _halve_until_answered(ask, batch[middle:])
            return
        answer = error
    yield batch, answer


def iter_terminal(galaxy: Galaxy, ids: list[str], timeout: float | None, codes: list[int], *,
                  fetch: Callable[[list[str]], Iterable[tuple[str, DatasetOrError]]],
                  list_moving: Callable[[str], Iterable[str]], non_terminal: Iterable[str], success: Iterable[str],
                  describe_failure: Callable[[dict[str, Any]], str]) -> Iterator[dict[str, Any]]:
    """Yield each of `ids`, datasets or jobs as `fetch` describes them, once its state is not `non_terminal`.

    One whose state then is no `success`, that Galaxy does not show, or that still runs after `timeout` seconds is reported,
    and its exit code added to `codes`. `list_moving` gives the ids of all in a history that still run, by one small request
    however many they are: it is all that is asked while they do.
    """
    unknown: list[str] = list(ids)
    running: dict[str, str] = {}      # {id: the id of its history}; "" for what no history lists, such as hdca:ID
    for _ in galaxy.poll(timeout):
        moving = {thing_id for history in set(running.values()) - {""} for thing_id in list_moving(history)}
        unknown += [thing_id for thing_id in running if thing_id.removeprefix("hda:") not in moving]
        for thing_id, thing in fetch(unknown):
            running.pop(thing_id.lower(), None)
            if isinstance(thing, GalaxyError):
                codes.append(report_error(str(thing), thing.exit_code))
            elif thing["state"] in non_terminal and not thing.get("stuck"):
                is_listed = ":" not in thing_id or thing_id.startswith("hda:")
                running[thing_id.lower()] = thing["history_id"] if is_listed else ""
            else:
                if thing["state"] not in success:
                    codes.append(report_error(describe_failure(thing), FAILED))
                yield thing
        unknown = []
        if not running:
            return
    first = ", ".join(list(running)[:3]) + (", ..." if len(running) > 3 else "")
    message = f"{len(running)} of {len(ids)} still running{describe_timeout(timeout)}: {first}"
    codes.append(report_error(message, STILL_RUNNING))


def find_stuck(galaxy: Galaxy, datasets: Iterable[dict[str, Any]]) -> dict[str, str]:
    """`{id: why}` for those of the moving `datasets` that will stay as they are, because their jobs have ended without them:
    Galaxy 26.1 leaves the datasets of a deleted job in state `new` for good."""
    running: dict[str, set[str]] = {}       # ids of jobs by history
    jobs: dict[str, Any] = {}
    stuck = {}
    for dataset in datasets:
        history, job = dataset.get("history_id"), dataset.get("creating_job")
        if not history or not job:
            continue
        if history not in running:
            query = {"history_id": history, "state": list(NON_TERMINAL_JOB_STATES)}
            running[history] = {other["id"] for other in galaxy.pages("jobs", query)}
        if job not in running[history]:
            jobs[job] = jobs.get(job) or galaxy.get_or_none(f"jobs/{job}") or {}
            if jobs[job].get("state") in DEAD_JOB_STATES:
                stuck[dataset["id"]] = f"its job {job} is {jobs[job]['state']}, so it will never be ok"
    for dataset_id, now in fetch_datasets(galaxy, list(stuck), ["state"]):      # it may have ended a moment ago
        if isinstance(now, GalaxyError) or now["state"] not in NON_TERMINAL_DATASET_STATES:
            del stuck[dataset_id]
    return stuck


def describe_timeout(timeout: float | None) -> str:
    """How long was waited, for a message; "" if it was an outer wait's time that was up (see `Galaxy.poll`)."""
    return "" if timeout is None else f" after {timeout:g} s"


def parse_ids(texts: list[str], name: str) -> list[str]:
    """Return the ids in `texts`, the words of the argument `name`, each once; `-` reads standard input, one a line, and
    to its end: what is done to these things may change the list that they come from."""
    ids: list[str] = []
    for text in texts:
        if text == "-":
            lines = enumerate(read_text("-").splitlines(), 1)
            ids += [parse_id(line.strip(), f"{name}, line {number} of standard input")
                    for number, line in lines if line.strip()]
        else:
            ids.append(parse_id(text, name))
    return list(dict.fromkeys(ids))


def combine_exit_codes(codes: list[int], ids: list[str]) -> int:
    """The exit status of a script that was to do something to each of `ids`, with the exit codes of those that it did not
    do: what failed counts more than what still runs."""
    failures = [code for code in codes if code != STILL_RUNNING]
    if not failures:
        return STILL_RUNNING if codes else DONE
    return failures[0] if len(failures) >= len(ids) and len(set(failures)) == 1 else SOME_FAILED


# ------------------------------------------------------------------------------------------ waiting within one history

def wait_datasets(galaxy: Galaxy, history: str, datasets: Iterable[str], timeout: float | None = None,
                  on_progress: Callable[[dict[str, int]], Any] | None = None) -> dict[str, str]:
    """Return `{id: state}` once all these datasets of one history have ended, well or not.

    However many they are, each look is one small request: for these, or, if they are more than a hundred, for what in the
    history has not ended yet. `on_progress` is called with the number of those by state, and of the others as `ended`.
    Raises with STILL_RUNNING after `timeout` seconds.
    """
    return {one: str(thing.get("state")) for one, thing in
            wait_described(galaxy, history, datasets, [], timeout, on_progress).items()}


def wait_described(galaxy: Galaxy, history: str, datasets: Iterable[str], fields: Iterable[str],
                   timeout: float | None = None, on_progress: Callable[[dict[str, int]], Any] | None = None
                   ) -> dict[str, dict[str, Any]]:
    """The same with these `fields` of each dataset, and its id and state, as the last look saw them: `{id: fields}`."""
    ids = list(dict.fromkeys(datasets))
    ask = {"v": "dev", "keys": ",".join(dict.fromkeys(["id", "state", *fields]))}
    moving = {"q": "state-in", "qv": ",".join(NON_TERMINAL_DATASET_STATES)}
    if len(ids) <= IDS_PER_REQUEST:
        ask.update(q="type_id-in", qv=",".join(f"dataset-{dataset}" for dataset in ids))
        moving = {}
    return _wait(galaxy, "dataset", history, ids, timeout, f"histories/{history}/contents", ask, moving, on_progress)


def wait_jobs(galaxy: Galaxy, history: str, jobs: Iterable[str], timeout: float | None = None) -> dict[str, str]:
    """Return `{id: state}` once none of these jobs of one history can move by itself (`TERMINAL_JOB_STATES`)."""
    ended = _wait(galaxy, "job", history, list(dict.fromkeys(jobs)), timeout, "jobs",
                  {"history_id": history}, {"state": list(NON_TERMINAL_JOB_STATES)})
    return {one: str(thing.get("state")) for one, thing in ended.items()}


def _wait(galaxy: Galaxy, kind: str, history: str, ids: list[str], timeout: float | None, path: str,
          everything: dict[str, Any], moving: dict[str, Any],
          on_progress: Callable[[dict[str, int]], Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return what is there of `ids` once none of them is in the list at `path` for `everything` and `moving`, or is stuck.
    Without `moving` each look is at everything."""
    non_terminal = NON_TERMINAL_DATASET_STATES if kind == "dataset" else NON_TERMINAL_JOB_STATES
    things: dict[str, dict[str, Any]] = {}
    stuck: dict[str, str] = {}

    def fetch_all() -> dict[str, dict[str, Any]]:
        return {thing["id"]: thing for thing in galaxy.pages(path, everything)
                if thing.get("history_content_type", "dataset") == "dataset"}       # not a collection of that id

    for look in galaxy.poll(timeout):
        left = {thing["id"]: str(thing.get("state")) for thing in galaxy.pages(path, {**everything, **moving})
                if thing["id"] in ids} if moving else {}
        if not left:        # but for what is setting_metadata, which that filter does not see (26.1)
            things = fetch_all()
            left = {one: things[one]["state"] for one in ids if things.get(one, {}).get("state") in non_terminal}
        if left and kind == "dataset" and look % STUCK_INTERVAL == STUCK_INTERVAL - 1:
            datasets = fetch_datasets(galaxy, list(left), ["history_id", "creating_job"])
            stuck = find_stuck(galaxy, [dataset for _, dataset in datasets if isinstance(dataset, dict)])
            if left.keys() <= stuck.keys():
                things = fetch_all()
                break
        if on_progress:
            on_progress({**Counter(left.values()), "ended": len(ids) - len(left)})
        if not left:
            break
    else:
        few = ", ".join(sorted(left)[:3]) + (", ..." if len(left) > 3 else "")
        raise GalaxyError(f"{len(left)} of {len(ids)} still running{describe_timeout(timeout)}: {few}", STILL_RUNNING)
    missing = [one for one in ids if one not in things]
    if missing:
        raise GalaxyError(f"history {history} has no {kind} {', '.join(missing)}")
    return {one: things[one] for one in ids}


def countdown(timeout: float | None) -> Callable[[], int | None]:
    """Start to count `timeout` seconds down. The function returned tells the seconds left, rounded up; None for no limit."""
    end = None if timeout is None else time.monotonic() + timeout
    return lambda: None if end is None else max(0, math.ceil(end - time.monotonic()))
