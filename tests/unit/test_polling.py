"""Waiting for datasets and jobs: few small requests, one time limit, the truth about what is not there."""
import pytest
from fakes import KEY

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.polling import combine_exit_codes, wait_datasets, wait_jobs


def test_wait_datasets_sends_one_small_request_a_poll(loopback, clock):
    running = [{"id": f"d{number}", "state": "running", "history_content_type": "dataset"} for number in range(101)]
    finished = [{**dataset, "state": "ok"} for dataset in running]
    loopback.will((200, running), (200, running[:3]), (200, [{"id": "another's"}]), (200, finished))
    states = wait_datasets(Galaxy(KEY, loopback.url), "h", [dataset["id"] for dataset in running])
    assert set(states.values()) == {"ok"} and len(states) == 101
    assert len(loopback.asked) == 4
    assert "q=state-in&qv=new%2Cupload%2Cqueued%2Crunning%2Csetting_metadata" in loopback.asked[0].path
    assert clock.slept == pytest.approx([0.25, 0.2875])


def test_wait_datasets_asks_for_a_hundred_by_their_ids(loopback, clock):
    """Also for what is setting_metadata, which Galaxy's filter by states does not see (26.1)."""
    looks = [[{"id": one, "state": state, "history_content_type": "dataset"} for one, state in zip("ab", states)]
             for states in (("running", "new"), ("ok", "setting_metadata"), ("ok", "error"))]
    loopback.will(*((200, look) for look in looks))
    assert wait_datasets(Galaxy(KEY, loopback.url), "h", ["a", "b", "a"]) == {"a": "ok", "b": "error"}
    assert len(loopback.asked) == 3
    assert loopback.asked[0].path.endswith("&keys=id%2Cstate&q=type_id-in&qv=dataset-a%2Cdataset-b")


def test_wait_jobs_returns_the_final_states(loopback, clock):
    loopback.will((200, [{"id": "j1", "state": "queued"}]), (200, []), (200, [{"id": "j1", "state": "error"}]))
    assert wait_jobs(Galaxy(KEY, loopback.url), "h", ["j1"]) == {"j1": "error"}
    assert "history_id=h&state=new&state=resubmitted" in loopback.asked[0].path


def test_wait_jobs_ends_with_the_timeout(loopback, clock):
    loopback.will((200, [{"id": "j1", "state": "queued"}]))
    with pytest.raises(GalaxyError, match="1 of 2 still running after 50 s: j1") as excinfo:
        wait_jobs(Galaxy(KEY, loopback.url), "h", ["j1", "j2"], timeout=50)
    assert excinfo.value.exit_code == STILL_RUNNING
    assert sum(clock.slept) == pytest.approx(50)


def test_wait_jobs_ends_with_the_timeout_while_the_server_is_away(loopback, clock):
    loopback.close()
    galaxy = Galaxy(KEY, loopback.url, patience=600)
    with pytest.raises(GalaxyError) as excinfo:
        wait_jobs(galaxy, "h", ["j"], timeout=20)
    assert excinfo.value.exit_code == TRY_LATER
    assert sum(clock.slept) == pytest.approx(20)


def test_wait_jobs_leaves_the_patience_as_it_was(loopback, clock):
    loopback.will((200, []), (200, [{"id": "j", "state": "ok"}]), (502, {}), (200, {"id": "h"}))
    galaxy = Galaxy(KEY, loopback.url)
    wait_jobs(galaxy, "h", ["j"], timeout=1)
    clock.now += 100
    assert galaxy.get("histories/h") == {"id": "h"}


def test_wait_datasets_ends_when_the_jobs_have_ended_without_them(loopback, clock):
    """B15: of a deleted job, which leaves its dataset in state new for good."""
    ended, made = ({"id": one, "state": state, "history_id": "h", "creating_job": "j", "history_content_type": "dataset"}
                   for one, state in (("a", "ok"), ("d", "new")))
    loopback.will(*[(200, [made])] * 9, (200, []), (200, {"state": "deleted"}), (200, [made]), (200, [ended, made]))
    assert wait_datasets(Galaxy(KEY, loopback.url), "h", ["a", "d"]) == {"a": "ok", "d": "new"}
    assert len(clock.slept) == 7 and len(loopback.asked) == 13


def test_wait_datasets_reports_a_missing_dataset(loopback, clock):
    loopback.will((200, []))
    with pytest.raises(GalaxyError, match="history h has no dataset d1"):
        wait_datasets(Galaxy(KEY, loopback.url), "h", ["d1"])


@pytest.mark.parametrize("codes, count, code", [
    ([], 2, DONE), ([STILL_RUNNING], 2, STILL_RUNNING), ([STILL_RUNNING, FAILED], 2, SOME_FAILED),
    ([FAILED, STILL_RUNNING], 3, SOME_FAILED), ([FAILED, FAILED], 2, FAILED), ([FAILED], 2, SOME_FAILED),
    ([TRY_LATER, TRY_LATER], 2, TRY_LATER), ([TRY_LATER, FAILED], 2, SOME_FAILED), ([FAILED, STILL_RUNNING], 1, FAILED)])
def test_a_failure_is_not_hidden_by_what_still_runs(codes, count, code):
    """A9."""
    assert combine_exit_codes(codes, list("abc"[:count])) == code
