"""Many things in few requests, by their ids, whichever histories they are in: what Galaxy has of datasets, when all end."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Union

from common import (
    DONE,
    FAILED,
    NON_TERMINAL_DATASET_STATES,
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


def countdown(timeout: float | None) -> Callable[[], float | None]:
    """Start to count `timeout` seconds down; the function returned tells how many are left, 0 at least, None for no limit."""
    end = None if timeout is None else time.monotonic() + timeout
    return lambda: None if end is None else max(0.0, end - time.monotonic())
