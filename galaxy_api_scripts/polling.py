"""Many things in few requests, by their ids, whichever histories they are in: what Galaxy has of datasets, when all end."""
from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
    report_error,
)

# From Galaxy 26.1's schema (DatasetState).
DATASET_STATES = (*NON_TERMINAL_DATASET_STATES, "ok", "empty", "error", "paused", "failed_metadata", "deferred", "discarded")
BATCH = 100     # ids of 32 letters make an address of 4.5 KB; nginx takes 8 KB
DatasetOrError = Union["dict[str, Any]", GalaxyError]


def fetch_datasets(galaxy: Galaxy, datasets: list[str], fields: Iterable[str], own: bool = False) -> Iterator[tuple[str, DatasetOrError]]:
    """Each of `datasets` with these `fields` of it, or with why there is none for us.

    A request for a hundred finds the user's own ones (`GET /api/datasets` by `type_id-in`, measured with 26.1); others are
    asked for one by one. Where they must be `own`, because something is done to them, those of somebody else are refused
    but to an administrator.
    """
    keys = ",".join(dict.fromkeys(["id", *fields]))
    if galaxy.key is None:      # the list is for users only
        yield from ((dataset, _alone(galaxy, dataset, own)) for dataset in datasets)
        return
    for part, answer in in_batches(lambda part: _listed(galaxy, part, keys), datasets):
        there = {} if isinstance(answer, GalaxyError) else {dataset["id"]: dataset for dataset in answer}
        for dataset in part:
            if isinstance(answer, GalaxyError):
                yield dataset, GalaxyError(f"dataset {dataset}: {answer}")
            else:
                # Galaxy takes ids in capitals too, so the one to go by is what it answers.
                yield dataset, there.get(dataset.lower()) or _alone(galaxy, dataset, own)


def _listed(galaxy: Galaxy, part: list[str], keys: str) -> Any:
    return galaxy.get("datasets", {"q": "type_id-in", "qv": ",".join(f"dataset-{dataset}" for dataset in part),
                                   "keys": keys, "limit": len(part)})


def _alone(galaxy: Galaxy, dataset: str, own: bool) -> DatasetOrError:
    try:
        about = dict(galaxy.get(f"datasets/{dataset}"))
    except GalaxyError as error:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise
        return error
    if own and not galaxy.current_user().get("is_admin"):
        return GalaxyError(f"dataset {dataset}: {about.get('name')!r} is in somebody else's history")
    return about


def in_batches(ask: Callable[[list[str]], Any], datasets: list[str]) -> Iterator[tuple[list[str], Any]]:
    """`(part, ask(part))` for all of `datasets`, a hundred at a time. Where one of a part spoils the request, as an id that
    Galaxy can't decode does, the part is halved, until that one is alone with its `GalaxyError`."""
    for start in range(0, len(datasets), BATCH):
        yield from _halved(ask, datasets[start:start + BATCH])


def _halved(ask: Callable[[list[str]], Any], part: list[str]) -> Iterator[tuple[list[str], Any]]:
    answer: Any
    try:
        answer = ask(part)
    except GalaxyError as error:
        if error.status not in (400, 500):
            raise
        if len(part) > 1:
            middle = len(part) // 2
            yield from _halved(ask, part[:middle])
            yield from _halved(ask, part[middle:])
            return
        answer = error
    yield part, answer


def iter_terminal(galaxy: Galaxy, wanted: list[str], timeout: float | None, codes: list[int], *,
                look: Callable[[list[str]], Iterable[tuple[str, DatasetOrError]]], moving: Callable[[str], Iterable[str]],
                moves: Iterable[str], good: Iterable[str], failure: Callable[[dict[str, Any]], str]
                ) -> Iterator[dict[str, Any]]:
    """Each of `wanted` once its state is not one of `moves`; an exit code is added to `codes`, and the reason said, for each
    whose state is not `good` then (`failure`), that Galaxy does not show, or that still moves after `timeout` seconds.

    `look` gives what Galaxy has of each of a list of ids. `moving` gives the ids of all that move in a history, by a small
    request however many there are: while they wait, that is all that is asked.
    """
    unknown: list[str] = list(wanted)
    still: dict[str, str] = {}      # {id: the id of its history}
    for _ in galaxy.poll(timeout):
        there = {one for history in set(still.values()) for one in moving(history)}
        unknown += [one for one in still if one not in there]
        for one, about in look(unknown):
            still.pop(one, None)
            if isinstance(about, GalaxyError):
                codes.append(report_error(str(about), about.exit_code))
            elif about["state"] in moves:
                still[about["id"]] = about["history_id"]
            else:
                if about["state"] not in good:
                    codes.append(report_error(failure(about), FAILED))
                yield about
        unknown = []
        if not still:
            return
    few = ", ".join(list(still)[:3]) + (", ..." if len(still) > 3 else "")
    codes.append(report_error(f"{len(still)} of {len(wanted)} still running after {timeout} s: {few}", STILL_RUNNING))


def combine_exit_codes(codes: list[int], wanted: list[str]) -> int:
    """How a script ends that was to do something to each of `wanted`, and failed with these exit codes."""
    if STILL_RUNNING in codes:
        return STILL_RUNNING
    if not codes:
        return DONE
    return codes[0] if len(codes) >= len(wanted) else SOME_FAILED


# ------------------------------------------------------------------------------------------ waiting within one history

def wait_datasets(galaxy: Galaxy, history: str, datasets: Iterable[str], timeout: float | None = None,
                  on_progress: Callable[[dict[str, int]], Any] | None = None) -> dict[str, str]:
    """Return `{id: state}` once all these datasets of one history have ended, well or not.

    However many they are, each look is one small request for what in the history has not ended yet; `on_progress` is
    called with the number of those by state, and of the others as `ended`. Raises with STILL_RUNNING after `timeout` seconds.
    """
    return _wait(galaxy, "dataset", history, list(dict.fromkeys(datasets)), timeout, f"histories/{history}/contents",
                 {"v": "dev", "keys": "id,state"}, {"q": "state-in", "qv": ",".join(NON_TERMINAL_DATASET_STATES)}, on_progress)


def wait_jobs(galaxy: Galaxy, history: str, jobs: Iterable[str], timeout: float | None = None) -> dict[str, str]:
    """Return `{id: state}` once none of these jobs of one history can move by itself (`TERMINAL_JOB_STATES`)."""
    return _wait(galaxy, "job", history, list(dict.fromkeys(jobs)), timeout, "jobs",
                 {"history_id": history}, {"state": list(NON_TERMINAL_JOB_STATES)})


def _wait(galaxy: Galaxy, kind: str, history: str, ids: list[str], timeout: float | None, path: str, everything: dict[str, Any],
          moving: dict[str, Any], on_progress: Callable[[dict[str, int]], Any] | None = None) -> dict[str, str]:
    """Return the states of `ids` once none of them is in the list at `path` for `everything` and `moving`."""
    non_terminal = NON_TERMINAL_DATASET_STATES if kind == "dataset" else NON_TERMINAL_JOB_STATES
    states: dict[str, str] = {}
    for _ in galaxy.poll(timeout):
        left = {thing["id"]: str(thing.get("state")) for thing in galaxy.pages(path, {**everything, **moving})
                if thing["id"] in ids}
        if not left:        # but for what is setting_metadata, which that filter does not see (26.1)
            states = {thing["id"]: str(thing.get("state")) for thing in galaxy.pages(path, everything)
                      if thing.get("history_content_type", "dataset") == "dataset"}     # not a collection of that id
            left = {one: states[one] for one in ids if states.get(one) in non_terminal}
        if on_progress:
            on_progress({**Counter(left.values()), "ended": len(ids) - len(left)})
        if not left:
            break
    else:
        few = ", ".join(sorted(left)[:3]) + (", ..." if len(left) > 3 else "")
        raise GalaxyError(f"{len(left)} of {len(ids)} still running after {timeout:g} s: {few}", STILL_RUNNING)
    missing = [one for one in ids if one not in states]
    if missing:
        raise GalaxyError(f"history {history} has no {kind} {', '.join(missing)}")
    return {one: states[one] for one in ids}


def countdown(timeout: float | None) -> Callable[[], float | None]:
    """Start to count `timeout` seconds down; the function returned tells how many are left, 0 at least, None for no limit."""
    end = None if timeout is None else time.monotonic() + timeout
    return lambda: None if end is None else max(0.0, end - time.monotonic())
