"""Answers of status 200 that say that nothing was done, or less, or something else: printed, told, and no success."""
import pytest
from fakes import KEY

import create
import delete
import update
from common import FAILED, SOME_FAILED

SHARED = {"id": "h", "importable": False, "published": False, "users_shared_with": [], "errors": [], "extra": None}
ITEMS = 'items:=[{"id": "a", "history_content_type": "dataset"}, {"id": "b", "history_content_type": "dataset"}]'
DATASETS = 'datasets:=[{"id": "a", "src": "hda"}, {"id": "b", "src": "hda"}]'
EMPTY = "You cannot share an empty history."
LIBRARY = {"model_class": "Library", "id": "1", "name": "l", "deleted": False}
ROLES = {"access_library_role_list": [["me", "a"]], "modify_library_role_list": [], "manage_library_role_list": []}
CHECKED = {"access_dataset_roles": [["me", "a"]], "manage_dataset_roles": [["me", "a"]], "modify_item_roles": []}

# A verb, an address, words; Galaxy 26.1's answer, the exit code, and what is told. `202` in place of 200 is its status.
DOUBTFUL = [
    (delete, "jobs/1", [], False, FAILED, "nothing was cancelled: the job had ended"),
    (delete, "things/1", [], False, FAILED, "nothing was done: Galaxy answers false"),
    (delete, "histories/1/tags/rna", [], None, FAILED, "nothing was removed: there is no tag rna"),
    (delete, "libraries/1", [], LIBRARY, FAILED, "it is not deleted"),
    (delete, "libraries/1?undelete=true", [], {**LIBRARY, "deleted": True}, FAILED, "it is still deleted"),
    (delete, "users/1", ["purge:=true"], {"id": "1", "deleted": True, "purged": False}, FAILED, "deleted, but not purged"),
    (delete, "users/1?purge=true", [], {"id": "1", "deleted": True, "purged": False}, FAILED, "deleted, but not purged"),
    (delete, "workflows/1", ["purge=true"], None, FAILED, "it is deleted, but not purged: Galaxy has no purge of it"),
    (delete, "roles/1?purge=true", [], {"id": "1"}, FAILED, "not purged: create.py - /api/roles/ID/purge does that"),
    (delete, "histories/1/contents/dataset_collections/2", ["purge:=true"], None, FAILED, "recursive:=true does that"),
    (delete, "histories/1/contents/2?type=dataset_collection&purge=true", [], None, FAILED, "recursive:=true does that"),
    (delete, "invocations/1", [], {"id": "1", "state": "completed"}, FAILED,
     "nothing was cancelled: the invocation is completed"),
    (delete, "datasets", [DATASETS], {"success_count": 0, "errors": [{"error_message": "not owned"}] * 2}, FAILED,
     "nothing was done: not owned; not owned"),
    (delete, "datasets", [DATASETS], {"success_count": 1, "errors": [{"error_message": "not owned"}]}, SOME_FAILED,
     "not all was done: not owned"),
    (delete, "storage/datasets", ['item_ids:=["a", "b"]'], {"total_item_count": 2, "success_item_count": 1, "errors": []},
     SOME_FAILED, "1 of 2 done"),
    (update, "histories/1/contents", [ITEMS, "deleted:=true"], [], FAILED, "0 of 2 done"),
    (update, "histories/1/contents", [ITEMS, "deleted:=true"], [{"id": "a"}], SOME_FAILED, "1 of 2 done"),
    (update, "histories/1/contents/bulk", [ITEMS, "operation=delete"], {"success_count": 1, "errors": []}, SOME_FAILED,
     "1 of 2 done"),
    (update, "histories/1/contents/bulk", [ITEMS, "operation=delete"],
     {"success_count": 0, "errors": [{"item": {}, "error": "uploading"}] * 5}, FAILED,
     "nothing was done: uploading; uploading; uploading and 2 more"),
    (update, "histories/1/contents/2", ["name=x"], {}, FAILED, "the history of this address has no such dataset"),
    (update, "notifications", ['notification_ids:=["a"]', 'changes:={"seen": true}'], {"updated_count": 0}, FAILED,
     "0 of 1 done"),
    (update, "workflows/1", ["name=x", "deleted:=true"], {"id": "1", "deleted": False, "published": True}, FAILED,
     "not done: deleted is false as before"),
    (update, "workflows/1", ["deleted=false", "published=0"], {"id": "1", "deleted": False, "published": True}, FAILED,
     "not done: published is true as before"),
    (update, "datasets/1", ["deleted:=false"], {"id": "1", "deleted": False, "purged": True}, FAILED,
     "not done: it is purged, and its contents don't come back"),
    (update, "histories/1/contents", [ITEMS, "deleted:=false"],
     [{"id": "a", "deleted": False, "purged": True}, {"id": "b", "deleted": False, "purged": False}], SOME_FAILED,
     "not done: it is purged"),
    (update, "histories/1/share_with_users", ['user_ids:=["a@b.c"]'],
     {**SHARED, "errors": [EMPTY], "extra": {"can_share": False, "can_change": []}}, FAILED, "not shared: You cannot"),
    (update, "histories/1/share_with_users", ['user_ids:=["a@b.c"]'],
     {**SHARED, "extra": {"can_share": False, "can_change": [{"id": "1", "name": "secret"}], "cannot_change": []}}, FAILED,
     "not shared: 1 dataset can't be seen by them (secret): share_option= settles"),
    (update, "workflows/1/share_with_users", ['user_ids:=["a@b.c", "me@b.c"]'],
     {**SHARED, "errors": ["a@b.c is not a valid Galaxy user."]}, SOME_FAILED, "not shared with all: a@b.c is not a valid"),
    (update, "workflows/1/share_with_users", ['user_ids:=["a@b.c"]'],
     {**SHARED, "errors": ["a@b.c is not a valid Galaxy user."]}, FAILED, "not shared: a@b.c is not a valid Galaxy user"),
    (update, "datasets/1/permissions", ['access_ids[]:=["b"]', 'manage_ids[]:=["a"]'], CHECKED, FAILED,
     "1 role of access_ids[] is not set (b)"),
    (create, "libraries/1/permissions", ['access_ids[]:=["a"]'], LIBRARY, FAILED,
     "access_ids[] did nothing, and everybody may see the library now: without action=set_permissions"),
    (create, "libraries/datasets/1/permissions", ["action=set_permissions", 'manage_ids:=["b", "c"]'], CHECKED, FAILED,
     "2 roles of manage_ids are not set (b; c): the answer shows what holds now, and manage_ids[] is the field"),
    (create, "jobs/1/error", ["message=x"], {"messages": [["Mail is not configured", "danger"], ["x", "info"]]}, FAILED,
     "not reported: Mail is not configured"),
    (create, "display_applications/reload", ['ids:=["x"]'], {"message": "no", "reloaded": [], "failed": ["x"]}, FAILED,
     "nothing was done: x"),
    (create, "tools", ["tool_id=cat1"], {"jobs": [{"id": "1"}], "errors": [{"message": "no such input"}]}, SOME_FAILED,
     "not all was done: no such input"),
]


@pytest.mark.parametrize("verb, address, words, answer, code, told", DOUBTFUL)
def test_what_was_not_done_is_told_behind_the_answer(script, loopback, capsys, verb, address, words, answer, code, told):
    loopback.will((200 if answer is not None else 204, b"" if answer is None else answer))
    assert script(verb.main, KEY, f"{loopback.url}/api/{address}", *words) == code
    out, err = capsys.readouterr()
    heading = "Member" if verb is None else "Response\n--------\n"
    assert out.startswith(heading) and (answer is None or str(answer) in out or isinstance(answer, list))
    assert err.count("\n") == 1 and told in err and len(loopback.asked) == 1
    assert script(verb.main, "--format=json", KEY, f"{loopback.url}/api/{address}", *words) == code


# The same requests, and others like them, where Galaxy did what it was asked for.
DONE = [
    (delete, "jobs/1", [], True), (delete, "workflows/1", [], None), (delete, "histories/1/tags/rna", [], True),
    (delete, "histories/1", [], {"id": "1", "deleted": True, "purged": False}),
    (delete, "libraries/1?undelete=true", [], LIBRARY), (delete, "workflows/1", ["purge=false"], None),
    (delete, "histories/1/contents/dataset_collections/2", ["purge:=true", "recursive:=true"], None),
    (delete, "datasets/1", ["purge:=true"], None), (delete, "quotas/1", ["purge:=true"], "Deleted and purged"),
    (delete, "datasets", [DATASETS], {"success_count": 2, "errors": []}),
    (delete, "invocations/1", [], {"id": "1", "state": "cancelling"}),
    (update, "histories/1/contents", [ITEMS, "deleted:=true"], [{"id": "a"}, {"id": "b"}]),
    (update, "histories/1/contents", [ITEMS.replace('"b"', '"a"')], [{"id": "a"}]),
    (update, "histories/1/contents/dataset_collections/2", ["name=x"], {}),
    (update, "histories/1/contents/2?type=dataset_collection", ["name=x"], {}),
    (update, "quotas/1", ["name=x"], ""), (update, "workflows/1", ["deleted:=true"], {"id": "1", "deleted": True}),
    (update, "datasets/1", ["deleted:=true", "visible=no"], {"id": "1", "deleted": True, "visible": False, "purged": True}),
    (update, "dataset_collections/1", ["deleted:=true"], {"id": None, "deleted": None}),
    (update, "histories/1/share_with_users", ["user_ids:=[]"], SHARED),
    (update, "datasets/1/permissions", ['access_ids[]:=["a"]', 'manage_ids[]:=["a"]'], CHECKED),
    (create, "libraries/1/permissions", ["action=set_permissions", "access_ids[]=a"], ROLES),
    (create, "libraries/1/permissions", ["action=set_permissions", "access_ids[]=a,b"],
     {**ROLES, "access_library_role_list": [["me", "a"], ["you", "b"]]}),
    (create, "libraries/1/permissions", ['LIBRARY_ACCESS_in:=[1]'], LIBRARY),
    (create, "histories", ["name=x"], {"id": "1", "deleted": False, "purged": False}),
    (create, "tools", ["tool_id=cat1"], {"jobs": [{"id": "1"}], "errors": []}),
    (create, "workflows/build_module", ["type=tool"], {"name": "x", "errors": {"input": "missing"}}),
]


@pytest.mark.parametrize("verb, address, words, answer", DONE)
def test_what_was_done_is_a_success(script, loopback, capsys, verb, address, words, answer):
    loopback.will((200 if answer is not None else 204, b"" if answer is None else answer))
    assert script(verb.main, KEY, f"{loopback.url}/api/{address}", *words) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb, address, words, answer", [
    (create, "histories", ["name=x"], {"id": "1", "deleted": False, "purged": False}),
    (create, "tools", ["tool_id=cat1"], {"jobs": [{"id": "1"}], "errors": []}),
    (update, "histories/1", ["name=x"], {"id": "1", "deleted": False, "purged": False, "tags": []}),
    (update, "histories/1/share_with_users", ['user_ids:=["a"]'], SHARED),
    (delete, "histories/1", [], {"id": "1", "deleted": True, "purged": False}),
    (delete, "histories/1", ["purge:=true"], {"id": "1", "deleted": True, "purged": True}),
    (delete, "jobs/1", [], True)])
def test_a_plain_line_loads_nothing_that_looks_closer(script, loopback, monkeypatch, verb, address, words, answer):
    monkeypatch.setattr(verb, "load_extras", lambda: pytest.fail("it is loaded"))
    loopback.will((200, answer))
    assert script(verb.main, KEY, f"{loopback.url}/api/{address}", *words) == 0


def test_a_purge_that_comes_later_is_a_success(script, loopback, capsys):
    """Galaxy 24.1 answers so, where Celery purges."""
    loopback.will((202, {"id": "1", "deleted": False, "purged": False}))
    assert script(delete.main, KEY, f"{loopback.url}/api/histories/1/contents/2", "purge:=true") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb, path, words, answer, code", [
    (delete, "jobs/1", [], False, FAILED), (delete, "datasets", [], {"errors": [{"error_message": "x"}]}, FAILED),
    (delete, "users/1", ["purge:=true"], {"id": "1", "deleted": True, "purged": False}, 0),
    (create, "libraries/1/permissions", ["action=set_permissions", "access_ids[]=a"], ROLES, 0)])
def test_a_verb_without_the_package_tells_what_is_certain(script, loopback, monkeypatch, capsys, verb, path, words,
                                                          answer, code):
    def missing():
        raise ModuleNotFoundError(name="galaxy_api_scripts")
    monkeypatch.setattr(verb, "load_extras", missing)
    loopback.will((200, answer))
    assert script(verb.main, KEY, f"{loopback.url}/api/{path}", *words) == code
    out, err = capsys.readouterr()
    assert out == f"Response\n--------\n{answer}\n" and ("folder galaxy_api_scripts is missing" in err) == (code == FAILED)
