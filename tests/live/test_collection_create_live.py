"""collection_create.py against a real Galaxy, which is then asked what it holds."""
import gzip
import hashlib
import os
import secrets

import collection_create
import pytest
import requests

ODD = ["s 1", "it's \"2\"", "Größe\n3", "-4", "5;$(true)"]


def reads(folder, samples, end="fastq.gz"):
    """The paths of a pair of files for each sample, each with other bytes."""
    paths = []
    for sample in samples:
        for mark in ("R1", "R2"):
            path = folder / f"{sample}_{mark}.{end}"
            path.write_bytes(gzip.compress(f"@{sample} {mark}\nACGT\n+\nIIII\n".encode()))
            paths.append(path)
    return paths


def created(person, *line):
    """The ids of the collection and of the history that a script says it has made."""
    return person.value("collection_create.py", "--format=value", "--fields=id,history_id", "--wait", *line).split("\t")


def held(person, history, collection):
    """`{names of an element: dataset}`, as Galaxy says."""
    found = {}

    def walk(elements, outer=()):
        for element in elements:
            names = (*outer, element["element_identifier"])
            inside = element["object"]
            if "elements" in inside:
                walk(inside["elements"], names)
            else:
                found[names] = person.look(f"datasets/{inside['id']}")

    about = person.look(f"histories/{history}/contents/dataset_collections/{collection}")
    walk(about["elements"])
    return about, found


def raw(person, dataset):
    answer = requests.get(f"{person.url}/api/datasets/{dataset['id']}/display", {"to_ext": dataset["extension"]},
                          headers={"x-api-key": person.key}, timeout=60)
    return answer.content


def test_a_list_of_pairs_with_odd_names(person, tmp_path):
    paths = reads(tmp_path, ODD)
    name = f"Run's {secrets.token_hex(3)}"
    line = ["--type=list:paired", "--dbkey=hg38", "--tag=name:live", person.key, person.url, f"new:{name}", "the reads"]
    collection, history = created(person, *line, *paths)
    assert person.look(f"histories/{history}")["name"] == name
    about, found = held(person, history, collection)
    assert (about["name"], about["collection_type"], about["tags"]) == ("the reads", "list:paired", ["name:live"])
    assert list(found) == [(sample, end) for sample in ODD for end in ("forward", "reverse")]
    for path, dataset in zip(paths, found.values()):
        assert (dataset["state"], dataset["extension"], dataset["genome_build"]) == ("ok", "fastqsanger.gz", "hg38")
        assert raw(person, dataset) == path.read_bytes()


def test_a_list_and_a_pair(person, tmp_path):
    (tmp_path / "lane" / "1").mkdir(parents=True)
    paths = reads(tmp_path, ["s"])
    for name, text in (("b.bed", "chr1\t1\t2\n"), ("lane/1/c.tsv", "a\tb\n"), ("lane/d.md5", ""), ("lane/empty.txt", "")):
        (tmp_path / name).write_text(text)
    history = person.new_history(f"lists {secrets.token_hex(3)}")
    collection, there = created(person, "--recursive", person.key, person.url, history, "all", tmp_path)
    assert there == history
    about, found = held(person, history, collection)
    assert about["collection_type"] == "list"
    assert {names: dataset["extension"] for names, dataset in found.items()} == {
        ("b",): "bed", ("c",): "tabular", ("empty",): "txt", ("s_R1",): "fastqsanger.gz", ("s_R2",): "fastqsanger.gz"}
    assert raw(person, found["c",]) == b"a\tb\n"
    pair, _ = created(person, "--type=paired", person.key, person.url, history, "one", *paths)
    about, found = held(person, history, pair)
    assert about["collection_type"] == "paired" and list(found) == [("forward",), ("reverse",)]
    assert raw(person, found["reverse",]) == paths[1].read_bytes()


def test_of_datasets(person, tmp_path):
    paths = reads(tmp_path, ["a", "b"])
    name = f"datasets {secrets.token_hex(3)}"
    history = person.new_history(name)
    ids = [person.uploaded(history, path, file_type="fastqsanger.gz") for path in paths]
    line = ["--type=list:paired", "--tag=x"]
    collection, _ = created(person, *line, person.key, person.url, name, "pairs", *ids)
    about, found = held(person, history, collection)
    assert about["tags"] == ["x"]
    assert list(found) == [(sample, end) for sample in "ab" for end in ("forward", "reverse")]
    assert [raw(person, dataset) for dataset in found.values()] == [path.read_bytes() for path in paths]
    elsewhere, other = created(person, person.key, person.url, f"new:{name} too", "one", f"hda:{ids[0]}")
    about, found = held(person, other, elsewhere)
    assert list(found) == [("a_R1",)] and found["a_R1",]["history_id"] == other
    for dataset in ids:
        person.asked("DELETE", f"datasets/{dataset}", json={"purge": False})
    assert [one["deleted"] for one in found.values()] == [False]
    refused = person.run("collection_create.py", person.key, person.url, history, "again", ids[0])
    assert refused.returncode == 1 and "is deleted" in refused.stderr


def test_what_is_wrong_leaves_nothing_behind(person, tmp_path):
    paths = reads(tmp_path, ["a", "b"])
    name = f"nothing {secrets.token_hex(3)}"
    line = ["collection_create.py", person.key, person.url, f"new:{name}", "x"]
    alone = person.run(*line[:1], "--type=list:paired", *line[1:], *paths[:3])
    assert alone.returncode == 2 and "b_R1.fastq.gz (there is no b_R2.fastq.gz)" in alone.stderr
    missing = person.run(*line, paths[0], tmp_path / "gone.fastq")
    assert missing.returncode == 2 and "gone.fastq: No such file" in missing.stderr
    (tmp_path / "md5sums.txt").write_text(f"{hashlib.md5(b'other').hexdigest()}  a_R1.fastq.gz\n")
    differs = person.run(*line, paths[0])
    assert differs.returncode == 1 and "checksums do not match" in differs.stderr
    planned = person.run(*line[:1], "--dry-run", "--format=value", *line[1:], paths[2])
    assert (planned.returncode, planned.stdout) == (0, f"b_R1\t{paths[2]}\tfastqsanger.gz\n")
    unknown = person.run(*line[:1], "--ext=nonsense", *line[1:], paths[2])
    assert unknown.returncode == 2 and "no datatype" in unknown.stderr
    several = person.run(*line[:1], "--ext=imzml", *line[1:], paths[2])
    assert several.returncode == 2 and "several files" in several.stderr
    assert [one for one in person.look("histories", keys="name") if one["name"] == name] == []


def test_an_address_that_fails(person, tmp_path):
    history = person.new_history("an address")
    ended = person.run("collection_create.py", "--wait", person.key, person.url, history, "x", *reads(tmp_path, ["a"]),
                       "http://127.0.0.1:9/none.txt")
    assert ended.returncode == 1 and "was not filled: Failed to fetch" in ended.stderr


def test_the_longest_name(person, tmp_path):
    """One character more, and the job would fail; refused before anything is sent."""
    path = tmp_path / ("x" * 219 + ".bed")
    path.write_text("chr1\t1\t2\n")
    history = person.new_history("long")
    collection, _ = created(person, person.key, person.url, history, "long", path)
    assert list(held(person, history, collection)[1]) == [("x" * 219,)]
    longer = path.rename(tmp_path / ("x" * 220 + ".bed"))
    refused = person.run("collection_create.py", person.key, person.url, history, "x", longer)
    assert refused.returncode == 2 and "too long" in refused.stderr


def test_whose_history_it_is(person, admin, tmp_path):
    history = admin.new_history("shared")
    admin.asked("PUT", f"histories/{history}", json={"importable": True})
    (tmp_path / "a.txt").write_text("a")
    refused = person.run("collection_create.py", person.key, person.url, history, "x", tmp_path / "a.txt")
    assert refused.returncode == 1 and "is another user's" in refused.stderr
    assert admin.look(f"histories/{history}/contents") == []
    own = person.new_history("own")
    collection, _ = created(admin, admin.key, admin.url, own, "from above", tmp_path / "a.txt")
    assert list(held(person, own, collection)[1]) == [("a",)]


@pytest.fixture
def damaged(monkeypatch):
    """Files whose hash is not that of the bytes that are sent."""
    send = collection_create.upload_file

    def spoilt(galaxy, path, name="", **options):
        element, session = send(galaxy, path, name)
        if os.path.basename(path).startswith("bad"):
            element["hashes"] = [{"hash_function": "SHA-256", "hash_value": "0" * 64}]
            session.paths = [__file__]     # of which the MD5 is taken for an old server
        return element, session

    monkeypatch.setattr(collection_create, "upload_file", spoilt)


def test_bytes_that_change_on_their_way(person, tmp_path, damaged, script, capsys):
    """Galaxy 26.1 makes an empty dataset in state ok of them, so that only we tell."""
    paths = [tmp_path / name for name in ("good.txt", "bad.txt")]
    for path in paths:
        path.write_text("some bytes\n")
    history = person.new_history("damaged")
    line = ["--wait", "--format=value", "--fields=id", person.key, person.url, history, "x"]
    assert script(collection_create.main, *line, *paths) == 3
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "has 0 bytes, 11 were sent" in err and "bad.txt" in err
    _, found = held(person, history, out.strip())
    assert found["bad",]["state"] == "ok" and found["bad",]["file_size"] == 0
    assert raw(person, found["good",]) == b"some bytes\n"


@pytest.mark.needs("single reads")
def test_lists_in_a_list_and_single_reads(person, tmp_path):
    """Of files, then of the datasets that the first one holds."""
    for name in ("x/a_R1.fastq", "x/a_R2.fastq", "y/b.fastq"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"@{name}\nACGT\n+\nIIII\n")
    history = person.new_history(f"deep {secrets.token_hex(3)}")
    for kind, names in (
            ("list:list:paired_or_unpaired", [("x", "a", "forward"), ("x", "a", "reverse"), ("y", "b", "unpaired")]),
            ("list:list", [("x", "a_R1"), ("x", "a_R2"), ("y", "b")])):
        collection, _ = created(person, "--recursive", f"--type={kind}", person.key, person.url, history, kind, tmp_path)
        about, found = held(person, history, collection)
        assert (about["collection_type"], list(found)) == (kind, names)
        assert [raw(person, dataset).split(b"\n")[0] for dataset in found.values()] == [
            b"@x/a_R1.fastq", b"@x/a_R2.fastq", b"@y/b.fastq"]
    ids = [f"hda:{dataset['id']}" for dataset in found.values()][1:]
    collection, _ = created(person, "--type=list:paired_or_unpaired", person.key, person.url, history, "again", *ids[1:])
    about, copies = held(person, history, collection)
    assert about["collection_type"] == "list:paired_or_unpaired" and [names[1:] for names in copies] == [("unpaired",)]
