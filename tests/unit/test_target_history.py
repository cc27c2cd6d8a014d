"""Each way to find or make the history that a run writes to."""
import threading

import pytest
from fakes import KEY

from common import FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.target_history import (
    NEW_FOR,
    create_history,
    create_history_if_needed,
    create_history_once,
    find_writable_history,
    last_hid,
    name_with_key,
    open_target_history,
    parse_legacy_history,
    shared_history,
    take_first,
)
from galaxy_api_scripts.together import limit_requests

ME = {"id": "me"}
HISTORY = {"id": "0123456789abcdef", "name": "Run 12", "user_id": "me"}


@pytest.fixture
def galaxy(loopback):
    return Galaxy(KEY, loopback.url)


@pytest.fixture
def notes(galaxy):
    with Checkpoint(galaxy, "the work", "test") as checkpoint:
        yield checkpoint


@pytest.fixture
def side_by_side(monkeypatch):
    """Requests go on once two are under way."""
    limit_requests(2)
    get, meeting = Galaxy.get, threading.Barrier(2)

    def meet(*what, **options):
        meeting.wait(20)
        return get(*what, **options)

    monkeypatch.setattr(Galaxy, "get", meet)


def posts(loopback):
    return [asked.json for asked in loopback.asked if asked.method == "POST"]


def test_an_answer_without_an_id_is_no_history(galaxy, loopback):
    loopback.will((200, {"id": None, "name": None}))
    with pytest.raises(GalaxyError, match="the answer for history '0123456789abcdef' has no id"):
        find_writable_history(galaxy, HISTORY["id"], ME)


def test_a_writable_history_is_found_by_id_or_name(galaxy, loopback):
    loopback.will((200, HISTORY))
    assert find_writable_history(galaxy, HISTORY["id"], ME) == HISTORY
    loopback.will((200, [{**HISTORY, "name": "run 12", "id": "other"}, HISTORY]))
    assert find_writable_history(galaxy, "Run 12", ME)["id"] == HISTORY["id"]


def test_the_user_is_asked_for_beside_the_history(galaxy, loopback, side_by_side):
    loopback.will()
    loopback.answers = {"GET /api/users/current": (200, ME), f"GET /api/histories/{HISTORY['id']}": (200, HISTORY)}
    with open_target_history(galaxy, HISTORY["id"], []) as target:
        assert target.id == HISTORY["id"]


@pytest.mark.parametrize("change, user, words", [
    ({"deleted": True}, ME, r"history 0123456789abcdef \(Run 12\) is deleted: undelete it"),
    ({"user_id": "her"}, ME, "is another user's: nothing can be added to it"),
    ({"user_id": "her"}, {**ME, "is_admin": True}, "")])
def test_a_history_that_is_not_writable_is_refused(galaxy, loopback, change, user, words):
    loopback.will((200, {**HISTORY, **change}))
    if not words:
        assert find_writable_history(galaxy, HISTORY["id"], user)["id"] == HISTORY["id"]
        return
    with pytest.raises(GalaxyError, match=words) as caught:
        find_writable_history(galaxy, HISTORY["id"], user)
    assert caught.value.exit_code == FAILED


def test_a_dry_run_makes_no_history(galaxy, loopback):
    loopback.will((200, ME))
    with open_target_history(galaxy, "new:x", [], dry_run=True) as target:
        assert target.id == "" and target.checkpoint is None
    assert posts(loopback) == []


def test_a_new_history_is_the_same_for_the_next_run_of_the_line(galaxy, loopback):
    loopback.will((200, ME), (200, {"id": "h1"}))
    with pytest.raises(KeyboardInterrupt), open_target_history(galaxy, "new:x", [], False, "run") as target:
        assert target.id == "h1"
        raise KeyboardInterrupt
    loopback.will((200, ME), (200, {"id": "h1", "deleted": False}))
    with open_target_history(galaxy, "new:x", [], False, "run") as target:
        assert target.id == "h1"
    loopback.will((200, ME), (200, {"id": "h2"}))
    with open_target_history(galaxy, "new:x", [], False, "another run") as target:
        assert target.id == "h2"
    loopback.will((200, ME), (200, {"id": "h1", "deleted": True}), (200, {"id": "h3"}))
    with open_target_history(galaxy, "new:x", [], False, "run") as target:
        assert target.id == "h3"


@pytest.mark.parametrize("text", ["", " ", "new:", "new: "])
def test_an_empty_name_asks_nothing(galaxy, loopback, text):
    with pytest.raises(GalaxyError, match="HISTORY is empty") as caught, open_target_history(galaxy, text, []):
        pass
    assert caught.value.exit_code == USAGE and loopback.asked == []


@pytest.mark.parametrize("lost, lines", [(False, ["POST /api/histories", "DELETE /api/histories/h1"]),
                                         (True, ["POST /api/histories"])])
def test_a_needed_history_is_deleted_if_nothing_came_of_it(galaxy, loopback, lost, lines):
    loopback.will((200, {"id": "h1"}))
    with pytest.raises(GalaxyError), create_history_if_needed(galaxy, "", "new:Run 12") as history:
        assert history == "h1"
        raise GalaxyError("refused", lost=lost)
    assert [asked.line for asked in loopback.asked] == lines and posts(loopback) == [{"name": "Run 12"}]
    with create_history_if_needed(galaxy, "h0", "new:Run 12") as history:
        assert history == "h0" and len(loopback.asked) == len(lines)


def test_a_new_history_is_known_to_be_empty_until_something_is_put_in(galaxy, loopback, clock):
    loopback.will((200, {"id": "h1"}), (200, [{"hid": 3}]))
    history = create_history(galaxy, "n")
    assert last_hid(galaxy, history) == 0 and len(loopback.asked) == 1
    assert last_hid(galaxy, history) == 3 and len(loopback.asked) == 2
    assert not take_first(Galaxy(KEY, loopback.url + "/other"), history, "invocations")
    assert take_first(galaxy, history, "invocations") and not take_first(galaxy, history, "invocations")
    loopback.will((200, {"id": "h2"}), (200, [{"hid": 4}]))
    history = create_history(galaxy, "n")
    clock.now += NEW_FOR        # somebody may have found it since
    assert last_hid(galaxy, history) == 4


def named(*ids, **about):
    return [{"id": history, "name": "n", "deleted": False, "count": 0, **about} for history in ids]


def test_a_history_is_made_once(galaxy, loopback, notes):
    loopback.will((200, []), (200, {"id": "h1"}), (200, named("h1")))
    assert create_history_once(galaxy, "n", notes) == ("h1", True) and posts(loopback) == [{"name": "n"}]
    loopback.will((200, named("h1")))
    assert create_history_once(galaxy, "n", notes) == ("h1", False)


def test_a_name_that_no_history_has_in_a_list_is_looked_for_once(galaxy, loopback, notes):
    loopback.will((200, {"id": "h1"}), (200, named("h1")))
    assert create_history_once(galaxy, "n", notes, is_unused=True) == ("h1", True) and len(loopback.asked) == 2
    loopback.will((200, named("h1")))       # whatever the list said: it was asked for
    assert create_history_once(galaxy, "n", notes, is_unused=True) == ("h1", False)


def test_a_history_that_another_process_makes_meanwhile_is_taken(galaxy, loopback, notes):
    loopback.will((200, {"id": "ours"}), (200, named("theirs", "ours")), (200, None))
    assert create_history_once(galaxy, "n", notes, is_unused=True) == ("theirs", False)
    assert loopback.asked[-1].line == "DELETE /api/histories/ours"


def test_of_two_histories_the_oldest_counts_and_an_empty_younger_one_goes(galaxy, loopback, notes):
    loopback.will((200, [*named("h1", "h2"), *named("h3", count=5)]), (200, None))
    assert create_history_once(galaxy, "n", notes) == ("h1", False)
    assert [asked.line for asked in loopback.asked if asked.method == "DELETE"] == ["DELETE /api/histories/h2"]


def test_a_name_that_others_have_too_gets_a_new_history(galaxy, loopback, notes):
    loopback.will((200, named("hers")), (200, {"id": "h1"}), (200, named("hers", "h1")))
    assert create_history_once(galaxy, "n", notes, unique=False) == ("h1", True)
    loopback.will((200, named("hers", "h1")))
    assert create_history_once(galaxy, "n", notes, unique=False) == ("h1", False)


def test_a_lost_answer_is_for_the_next_run(galaxy, loopback, notes, clock):
    loopback.will((200, []), lambda handler: handler.cut(), (200, []))
    with pytest.raises(GalaxyError, match="it may or may not exist: run the same line again") as caught:
        create_history_once(galaxy, "n", notes)
    assert caught.value.exit_code == TRY_LATER
    loopback.will((200, []), (200, named("h1")))        # Galaxy made it after all
    assert create_history_once(galaxy, "n", notes) == ("h1", False)


def test_a_shared_history_is_one_for_each_title(galaxy, loopback, notes):
    loopback.will((200, []), (200, {"id": "h1"}), lambda handler: handler.reply(
        200, [{"id": "h1", "name": loopback.asked[1].json["name"], "count": 0}]))
    assert shared_history(galaxy, notes, "inputs") == "h1"
    assert loopback.asked[1].json["name"] == name_with_key("inputs", notes.data["history_mark"])
    loopback.will((200, {"id": "h1", "deleted": False}))
    assert shared_history(galaxy, notes, "inputs") == "h1" and len(posts(loopback)) == 1


def test_a_name_with_a_key_fits_galaxys_names():
    assert name_with_key("Run 12", "0123456789abcdef") == "Run 12 [0123456789]"
    assert len(name_with_key("x" * 300, "0123456789abcdef")) == 255


def test_the_history_of_the_old_scripts():
    assert parse_legacy_history("Run 12") == "Run 12" and parse_legacy_history("hist_id=h") == "hist_id=h"
    for text in ("", " ", "hist_id=", "param=t=n=v", "0=hda=d1", "reads=ldda=d1"):
        with pytest.raises(GalaxyError, match="HISTORY is") as caught:
            parse_legacy_history(text)
        assert caught.value.exit_code == USAGE


def test_the_highest_number_of_a_history(galaxy, loopback):
    loopback.will((200, [{"hid": 7}]))
    assert last_hid(galaxy, "h") == 7
    loopback.will((200, []))
    assert last_hid(galaxy, "h") == 0
