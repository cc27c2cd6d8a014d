import hashlib
import json
import os
import threading

import collection_create
import pytest
from fakes import KEY

USER = {"id": "me", "email": "me@example.org", "is_admin": False}
HISTORY = {"id": "f2db41e1fa331b3e", "name": "run", "user_id": "me"}
MADE = {"id": "c011", "name": "reads", "history_id": HISTORY["id"], "hid": 1}
TYPES = [{"extension": "bed", "composite_files": None}, {"extension": "txt"},
         {"extension": "imzml", "composite_files": [{"name": "imzml"}, {"name": "ibd"}]}]
FETCHED = {"output_collections": [MADE], "jobs": [{"id": "j0b"}]}
DATASETS = [{"id": f"{number:016x}", "name": name, "history_content_type": "dataset", "deleted": False, "state": "ok"}
            for number, name in enumerate(("a_R1.fastq.gz", "a_R2.fastq.gz", "a_R1"), 1)]
ONE, TWO, THREE = (one["id"] for one in DATASETS)


@pytest.fixture
def reads(tmp_path):
    """The paths of a pair of files and of a table."""
    for name in ("a_R1.fastq.gz", "a_R2.fastq.gz", "b.tsv"):
        (tmp_path / name).write_text(name)
    return [str(tmp_path / name) for name in ("a_R1.fastq.gz", "a_R2.fastq.gz", "b.tsv")]


@pytest.fixture
def bytes_sent(monkeypatch):
    """The paths whose bytes were sent, which goes nowhere."""
    paths = []

    def send(galaxy, path, to, keep):
        paths.append(path)
        name = path.rsplit("/", 1)[-1]
        return {"src": "files", "name": name, "hashes": [{"hash_function": "SHA-256", "hash_value": f"of {name}"}]}, \
            {"session_id": f"s{len(paths)}", "name": name}

    monkeypatch.setattr(collection_create, "upload_file", send)
    return paths


@pytest.fixture
def create(script, loopback, bytes_sent):
    """`create(arguments, answers)`: the exit status; Galaxy says whose the key is, then gives the answers."""
    def call(arguments, *answers):
        loopback.asked.clear()
        loopback.will(*((200, answer) if not isinstance(answer, tuple) else answer for answer in (USER, *answers)))
        options = [one for one in arguments if one.startswith("-")]
        return script(collection_create.main, "--transfers=1", *options, KEY, loopback.url,
                      *(one for one in arguments if one not in options))
    return call


HIDS = f"GET /api/histories/{HISTORY['id']}/contents?v=dev&keys=hid&order=hid-dsc&limit=1"      # how far the history is


def leaf(name, number):
    return {"src": "files", "ext": "fastqsanger.gz", "dbkey": "?", "name": number,
            "hashes": [{"hash_function": "SHA-256", "hash_value": f"of {name}"}]}


PAIR = [leaf("a_R1.fastq.gz", "forward"), leaf("a_R2.fastq.gz", "reverse")]


@pytest.mark.parametrize("kind, elements", [
    ("list", [leaf("a_R1.fastq.gz", "a_R1"), leaf("a_R2.fastq.gz", "a_R2")]),
    ("paired", PAIR),
    ("list:paired", [{"name": "a", "elements": PAIR}]),
])
def test_files_become_a_collection(create, loopback, reads, bytes_sent, capsys, kind, elements):
    assert create([f"--type={kind}", "--format=jsonl", HISTORY["id"], "reads", *reads[:2]], HISTORY, [], FETCHED) == 0
    assert [asked.line for asked in loopback.asked] == ["GET /api/users/current", f"GET /api/histories/{HISTORY['id']}",
                                                        HIDS, "POST /api/tools/fetch"]
    assert bytes_sent == reads[:2]
    assert loopback.asked[3].json == {
        "history_id": HISTORY["id"],
        "targets": [{"destination": {"type": "hdca"}, "name": "reads", "collection_type": kind, "tags": [],
                     "elements": elements}],
        "files_0|file_data": {"session_id": "s1", "name": "a_R1.fastq.gz"},
        "files_1|file_data": {"session_id": "s2", "name": "a_R2.fastq.gz"}}
    out, err = capsys.readouterr()
    assert json.loads(out) == {"id": "c011", "ref": "hdca:c011", "name": "reads", "collection_type": kind,
                               "history_id": HISTORY["id"], "elements": 1 if kind == "list:paired" else 2}
    assert err == ""


def test_what_the_options_say(create, loopback, reads):
    line = ["--ext=txt", "--dbkey=hg38", "--tag=a", "--tag=name:c", HISTORY["id"], "x", reads[2],
            "https://example.org/c%20d.bed"]
    assert create(line, HISTORY, TYPES, [["Human", "hg38"]], [], FETCHED) == 0
    target = loopback.asked[-1].json["targets"][0]
    assert target["tags"] == ["a", "name:c"]
    assert [(one["name"], one["ext"], one["dbkey"]) for one in target["elements"]] == [
        ("b", "txt", "hg38"), ("c d", "txt", "hg38")]
    assert target["elements"][1] == {"src": "url", "url": "https://example.org/c%20d.bed", "name": "c d", "ext": "txt",
                                     "dbkey": "hg38"}
    assert list(loopback.asked[-1].json) == ["history_id", "targets", "files_0|file_data"]


def test_a_new_history_is_made_last(create, loopback, reads):
    assert create(["new:Run 12", "x", reads[2]], HISTORY, FETCHED) == 0
    assert [asked.line for asked in loopback.asked[1:]] == ["POST /api/histories", "POST /api/tools/fetch"]
    assert loopback.asked[1].json == {"name": "Run 12"}


def test_a_new_history_is_deleted_if_no_collection_came_of_it(create, loopback, reads, capsys):
    refusal = (400, {"err_msg": "no such thing", "err_code": 400008})
    assert create(["new:x", "x", reads[2]], HISTORY, [], refusal, {}) == 1
    assert loopback.asked[-1].line == f"DELETE /api/histories/{HISTORY['id']}"
    assert "no such thing" in capsys.readouterr().err
    assert create([HISTORY["id"], "x", reads[2]], HISTORY, [], refusal, {}) == 1
    assert loopback.asked[-1].line == "POST /api/tools/fetch"


def test_a_lost_answer_is_looked_up(create, loopback, reads, bytes_sent, capsys):
    there = [{**MADE, "hid": 8, "deleted": False, "history_content_type": "dataset_collection"}]
    line = ["--format=value", "--fields=id", HISTORY["id"], MADE["name"], reads[2]]
    assert create(line, HISTORY, [{"hid": 7}], lambda handler: handler.cut(), HISTORY, there) == 0
    assert capsys.readouterr().out == "c011\n"
    assert sum(asked.method == "POST" for asked in loopback.asked) == 1


def test_the_run_after_a_killed_one_makes_no_second_collection(create, loopback, reads, bytes_sent, capsys, monkeypatch):
    def killed(*what, **more):
        raise KeyboardInterrupt
    line = ["--format=value", "--fields=id", HISTORY["id"], MADE["name"], reads[2]]
    with monkeypatch.context() as dying:
        dying.setattr(collection_create, "show", killed)
        assert create(line, HISTORY, [{"hid": 7}], FETCHED) == 130
    there = [{**MADE, "hid": 8, "deleted": False, "history_content_type": "dataset_collection"}]
    assert create(line, HISTORY, HISTORY, there) == 0
    assert capsys.readouterr().out == "c011\n" and bytes_sent == [reads[2]]
    assert not [asked for asked in loopback.asked if asked.method == "POST"]
    assert create(line, HISTORY, [], FETCHED) == 0 and bytes_sent == [reads[2]] * 2     # asked once more, made once more


@pytest.mark.parametrize("line, said", [
    (["--type=set", "h", "x", "READS"], "--type=set"),
    (["h", " ", "READS"], "is a variable unset"),
    (["new:", "x", "READS"], "is a variable unset"),
    (["h", "x", "/no/such/file"], "No such file"),
    (["h", "x", "/"], "--recursive"),
    (["--type=list:paired", "h", "x", "READS", "TABLE"], "b.tsv (no _R1 or _R2 at its end)"),
    (["--type=paired", "h", "x", "TABLE"], "b.tsv (no _R1"),
    (["h", "x", "READS", ONE], "datasets or files, not both"),
    (["--ext=bed", "h", "x", ONE], "are not for datasets"),
    (["--dbkey=hg38", "h", "x", ONE], "are not for datasets"),
    (["--format=nonsense", "h", "x", "READS"], "--format=nonsense"),
    (["--timeout=soon", "h", "x", "READS"], "--timeout=soon"),
    (["--tag=a b", "h", "x", "READS"], "--tag=a b: expected a word without spaces and commas"),
    (["--tag=a,b", "h", "x", "READS"], "--tag=a,b: expected"),
    ([f"--tag={'x' * 256}", "h", "x", "READS"], "expected a word"),
])
def test_bad_lines_send_nothing(create, loopback, reads, bytes_sent, capsys, line, said):
    words = {"READS": reads[:2], "TABLE": reads[2:]}
    assert create([word for one in line for word in words.get(one, [one])]) == 2
    assert said in capsys.readouterr().err
    assert loopback.asked == [] and bytes_sent == []


def test_a_history_or_datatype_that_galaxy_lacks_is_refused(create, loopback, reads, bytes_sent, capsys):
    assert create(["--ext=zzz", HISTORY["id"], "x", reads[2]], HISTORY, TYPES) == 2
    assert "--ext=zzz: no datatype" in capsys.readouterr().err
    assert create(["--dbkey=hg83", HISTORY["id"], "x", reads[2]], HISTORY, [["Human", "hg38"]], USER, []) == 2
    assert "--dbkey=hg83: no reference genome" in capsys.readouterr().err
    assert create(["--ext=imzml", HISTORY["id"], "x", reads[2]], HISTORY, TYPES) == 2
    assert "--ext=imzml: a datatype of several files" in capsys.readouterr().err
    assert create([HISTORY["id"], "x", reads[2]], {**HISTORY, "user_id": "somebody"}) == 1
    assert "another user's" in capsys.readouterr().err
    assert create([HISTORY["id"], "x", reads[2]], {**HISTORY, "deleted": True}) == 1
    assert "deleted" in capsys.readouterr().err
    assert create(["another", "x", reads[2]], []) == 1
    assert "named 'another'" in capsys.readouterr().err
    assert bytes_sent == [] and all(asked.method == "GET" for asked in loopback.asked)


def test_an_unknown_key_sends_nothing(script, loopback, reads, bytes_sent, capsys):
    loopback.will((200, {}))
    assert script(collection_create.main, "anonymous", loopback.url, "new:x", "x", reads[2]) == 1
    assert "does not recognise this API key" in capsys.readouterr().err
    assert bytes_sent == [] and [asked.method for asked in loopback.asked] == ["GET"]


def test_an_administrator_may(script, loopback, reads, bytes_sent):
    loopback.will((200, {**USER, "is_admin": True}), (200, {**HISTORY, "user_id": "somebody"}), (200, []), (200, FETCHED))
    assert script(collection_create.main, "--transfers=1", KEY, loopback.url, HISTORY["id"], "x", reads[2]) == 0
    assert bytes_sent == [reads[2]]


def test_a_checksum_that_differs(create, loopback, reads, bytes_sent, capsys):
    path = reads[2].rsplit("/", 1)[0] + "/md5sums.txt"
    with open(path, "w") as file:
        file.write(f"{hashlib.md5(b'other').hexdigest()}  b.tsv\n")
    assert create([HISTORY["id"], "x", reads[2]], HISTORY) == 1
    assert "checksums do not match" in capsys.readouterr().err
    assert bytes_sent == []


def test_a_dry_run(create, loopback, reads, bytes_sent, capsys):
    assert create(["-n", "--format=jsonl", "new:x", "x", *reads[2:], "https://example.org/c.bed"]) == 0
    assert create(["-n", "--format=jsonl", "--type=list:paired", "new:x", "x", *reads[:2]]) == 0
    assert create(["-n", "--format=jsonl", "--type=paired", "new:x", "x", *reads[:2]]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"element": "b", "source": reads[2], "extension": "tabular"},
        {"element": "c", "source": "https://example.org/c.bed", "extension": "bed"},
        {"element": "a", "forward": reads[0], "reverse": reads[1], "extension": "fastqsanger.gz"},
        {"forward": reads[0], "reverse": reads[1], "extension": "fastqsanger.gz"}]
    assert {asked.line for asked in loopback.asked} == {"GET /api/users/current"} and bytes_sent == []


def test_an_odd_entry_of_a_folder_is_reported(create, loopback, reads, capsys):
    folder = reads[0].rsplit("/", 1)[0]
    os.mkfifo(f"{folder}/pipe")
    assert create(["--recursive", "--format=value", "--fields=elements", "new:x", "x", folder], HISTORY, FETCHED) == 3
    out, err = capsys.readouterr()
    assert out == "3\n" and "pipe: not a file" in err


CONTENTS = [*DATASETS, {"id": ONE, "history_content_type": "dataset_collection", "name": "c"}]


def test_datasets(create, loopback, capsys):
    line = ["--type=list:paired", "--tag=x", "--format=value", "--fields=id", HISTORY["id"], "reads", ONE, f"hda:{TWO}"]
    assert create(line, HISTORY, CONTENTS, [], MADE, {}) == 0
    made, tagged = loopback.asked[4:]
    assert (made.line, tagged.line) == ("POST /api/dataset_collections",
                                        f"PUT /api/histories/{HISTORY['id']}/contents/dataset_collections/c011")
    assert made.json == {
        "instance_type": "history", "history_id": HISTORY["id"], "copy_elements": True, "name": "reads",
        "collection_type": "list:paired", "tags": ["x"],
        "element_identifiers": [{"name": "a", "src": "new_collection", "collection_type": "paired", "element_identifiers": [
            {"src": "hda", "id": ONE, "name": "forward"}, {"src": "hda", "id": TWO, "name": "reverse"}]}]}
    assert tagged.json == {"tags": ["x"]}
    assert capsys.readouterr().out == "c011\n"


def test_datasets_of_another_history(create, loopback):
    assert create(["new:y", "reads", f"hda:{THREE}"], DATASETS[2], HISTORY, MADE) == 0
    assert [asked.line for asked in loopback.asked[1:]] == [f"GET /api/datasets/{THREE}", "POST /api/histories",
                                                            "POST /api/dataset_collections"]
    assert loopback.asked[3].json["element_identifiers"] == [{"src": "hda", "id": THREE, "name": "a_R1"}]


def test_a_librarys_dataset_is_an_element(create, loopback, capsys):
    """`ldda:ID` and `lib:` wherever a dataset is."""
    library = {"id": "l1", "name": "Lab", "root_folder_id": "F1", "deleted": False}
    item = {"type": "file", "id": "ld1", "name": "ref.fa", "state": "ok", "deleted": False}
    about = {"id": "ld1", "ldda_id": "v1", "name": "ref.fa", "state": "ok", "deleted": False}
    assert create([HISTORY["id"], "x", "lib:/Lab/ref.fa"], HISTORY, [library],
                  {"metadata": {"total_rows": 1}, "folder_contents": [item]}, [], about, {"hashes": []}, {}, [], MADE) == 0
    assert loopback.asked[-1].json["element_identifiers"] == [{"name": "ref", "src": "ldda", "id": "v1"}]


@pytest.mark.parametrize("about, ids, said, status", [
    ({}, ["0" * 16], "hda:0000000000000000 is one of any history", 1),
    ({"deleted": True}, [ONE], "is deleted", 1),
    ({"state": "error"}, [ONE], "in state error", 1),
    ({}, [ONE, THREE], f"hda:{ONE} and hda:{THREE}: both would be 'a_R1'", 2),
    ({}, [ONE, ONE], "both would be", 2),
])
def test_datasets_that_cannot_be_elements_are_refused(create, loopback, capsys, about, ids, said, status):
    assert create([HISTORY["id"], "x", *ids], HISTORY, [{**DATASETS[0], **about}, *DATASETS[1:]]) == status
    assert said in capsys.readouterr().err
    assert all(asked.method == "GET" for asked in loopback.asked)


def test_a_file_may_be_named_like_an_id(create, loopback, tmp_path, monkeypatch, bytes_sent):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ONE).write_text("x")
    assert create([HISTORY["id"], "x", ONE], HISTORY, [], FETCHED) == 0
    assert bytes_sent == [str(tmp_path / ONE)]


def element(name, **about):
    return {"element_identifier": name, "element_type": "hda",
            "object": {"id": name, "state": "ok", "file_size": 13, **about}}


def ended(*elements):
    return {**MADE, "populated_state": "ok", "populated_state_message": None,
            "elements": list(elements)}


@pytest.mark.parametrize("sizes, status", [((13, 13), 0), ((13, 0), 3), ((0, 0), 1)])
def test_waiting(create, loopback, reads, capsys, sizes, status):
    hashes = [{"id": name, "hashes": [{"hash_function": "SHA-256", "hash_value": f"of {name}.fastq.gz"}]}
              for name in ("a_R1", "a_R2")]
    made = ended(element("a_R1", file_size=sizes[0]), element("a_R2", file_size=sizes[1]))
    assert create(["--wait", HISTORY["id"], "x", *reads[:2]], HISTORY, [], FETCHED, {"state": "ok"}, made, hashes) == status
    out, err = capsys.readouterr()
    assert "c011" in out
    assert err.count("has 0 bytes, 13 were sent") == sizes.count(0)


def test_waiting_ends_after_the_timeout(create, loopback, reads, clock, capsys):
    assert create(["--wait", "--timeout=3", HISTORY["id"], "x", *reads[:2]], HISTORY, [], FETCHED, {"state": "new"}) == 4
    assert "still being filled" in capsys.readouterr().err


def test_files_go_up_side_by_side_and_are_elements_in_their_order(script, wire, tmp_path, capsys):
    paths = [tmp_path / f"s{number:02}.bed" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_text("x" * (number * 7 % 20 + 1))
    together = threading.Barrier(4, timeout=20)
    wire.answers["POST upload"] = [lambda handler: together.wait() and None] * 4
    assert script(collection_create.main, KEY, wire.url, "new:H", "beds", *paths) == 0
    assert wire.most_in_flight == 4 and not together.broken
    [fetch] = wire.sent("POST fetch")
    elements = fetch.json["targets"][0]["elements"]
    assert [element["name"] for element in elements] == [path.stem for path in paths]
    assert [element["hashes"][0]["hash_value"] for element in elements] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    sessions = [fetch.json[f"files_{number}|file_data"]["name"] for number in range(20)]
    assert sessions == [path.name for path in paths]


def test_a_refused_file_stops_those_that_have_not_begun(script, wire, tmp_path, capsys):
    paths = [tmp_path / f"s{number:02}.bed" for number in range(60)]
    for path in paths:
        path.write_text("x")
    wire.answers["POST upload"] = [None] * 5 + [(403, {"err_msg": "over quota"})]
    assert script(collection_create.main, KEY, wire.url, "new:H", "beds", *paths) == 1
    error = capsys.readouterr().err
    assert "over quota" in error and error.count("\n") == 1
    assert wire.count("POST upload") <= 10 and wire.count("POST fetch") == 0
