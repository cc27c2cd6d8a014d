"""What a run has changed is shown, and what it could not do is reported, however it ends."""
import pytest

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, GalaxyError
from galaxy_api_scripts.outcome import Outcome

PLAIN = {"format": "value", "fields": []}


def refuse(code=FAILED):
    raise GalaxyError("no", code)


def test_an_error_ends_a_run_after_its_rows_and_failures_were_told(capsys):
    with pytest.raises(GalaxyError), Outcome(PLAIN, ["id"], False) as outcome:
        outcome.change("a", {"id": "a"}, bool)
        outcome.change("b", {"id": "b"}, refuse)
        outcome.change("c", {"id": "c"}, lambda: refuse(TRY_LATER))
    told = capsys.readouterr()
    assert told.out == "a\n" and told.err.endswith(": b: no\n") and outcome.failures == 1


@pytest.mark.parametrize("done, refused, total, status", [
    (1, 0, None, DONE), (1, 1, None, SOME_FAILED), (0, 2, None, FAILED), (0, 2, 3, SOME_FAILED), (0, 2, 2, FAILED)])
def test_the_status(done, refused, total, status):
    outcome = Outcome(PLAIN, ["id"], False)
    for _ in range(done):
        outcome.change("a", {"id": "a"}, bool)
    for _ in range(refused):
        outcome.change("b", {"id": "b"}, refuse)
    assert outcome.status(total) == status


def test_a_dry_run_changes_nothing_and_shows_the_same_rows(capsys):
    with Outcome(PLAIN, ["id"], True) as outcome:
        outcome.change("b", {"id": "b"}, refuse)
    assert capsys.readouterr().out == "b\n" and outcome.status() == DONE
