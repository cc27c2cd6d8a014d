"""The page on many samples: what it shows, that it is safe, loads nothing and stays small; what Galaxy is asked for it."""
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import ledger_show
import pytest
from fakes import API, KEY, URL
from fakes.ledgers import BEGAN, add_sample, stamp, write_ledger
from fakes.pages import NASTY, Page
from fakes.run_answers import Runs, a_job, a_step

from common import DONE, FAILED, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.batch import page_writer
from galaxy_api_scripts.batch.facts import FactsGatherer, note_failure, save_facts
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.ledger_reader import read_facts, read_samples
from galaxy_api_scripts.batch.page import check_page_path, render_ledger
from galaxy_api_scripts.batch.page_writer import PageWriter
from galaxy_api_scripts.batch.plots import MAX_NAMED_ROWS, draw_steps, draw_timeline

SERVER = "https://galaxy.example.org"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "samples.tsv.ledger"


def a_page(path, **options):
    return render_ledger(path, path.parent / "page.html", **options)


# ---------------------------------------------------------------------------------------------------------- what it shows

def test_a_page_has_what_became_of_each_sample(path):
    with Ledger(path, server=SERVER, user="core") as ledger:
        for number, state in enumerate(["ok", "failed", "running", "waiting"]):
            add_sample(ledger, number, state, (BEGAN, BEGAN + 60, BEGAN + 3600), [60, 120, 5])
    page = Page(a_page(path))
    for words in (
            "samples.tsv", "\u2717 1 of 4 failed, 2 still under way", "Workflow RNA-seq, paired", "User core",
            "NX26-0002, at step 3 (Align): rna_star 2.7.11a+galaxy1, exit code 109", "--limitBAMsortRAM 34000000001",
            "\u25b6 NX26-0003 running 2026-03-01 10:00 1 h", "aligned reads bam, 1.7 GiB", "counts tabular, 304.7 KiB",
            "median 2 min", "RNA-seq, paired 4 2", "Galaxy 26.1.1 2", "galaxy-api-scripts 0.1.0 2", "0.39+galaxy2 2 2",
            "\u2717 1 failed", "\u25cb 1 waiting", "Ctrl+F"):
        assert words in page.text, words
    first, second = "0" * 15 + "1", "0" * 15 + "2"
    assert {f"{SERVER}/histories/view?id={first}", f"{SERVER}/workflows/invocations/{first}", f"{SERVER}/datasets/{first}",
            f"{SERVER}/jobs/{second}/view", "./results/NX26-0001/", f"{SERVER}/published/workflow?id={'f' * 16}",
            "#s1", "#s2"} <= set(page.links)
    # What failed comes first, among the sections and among the rows.
    rows = page.text[page.text.index("Ctrl+F"):]
    assert page.text.index("34000000001") < page.text.index("0 s 15 min")
    assert rows.index("NX26-0002") < rows.index("NX26-0003") < rows.index("NX26-0004") < rows.index("NX26-0001")


def test_the_page_is_one_file_without_script_in_which_css_alone_chooses(path):
    write_ledger(path, 60)
    html = a_page(path)
    page = Page(html)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert "url(" not in page.styles and "@import" not in page.styles and "default-src 'none'" in html
    assert html.startswith("<!DOCTYPE html>") and page.tags.count("svg") == 1 + 5       # the time line, and a step each
    for state in ("failed", "running", "waiting", "ok"):
        assert f"#show-{state}:checked ~ .samples tbody tr:not(.{state}):not(:target) {{ display: none; }}" in html
        assert f'id="show-{state}"' in html and f'for="show-{state}"' in html
    assert {link for link in page.links if link.startswith("#s")} <= {f"#s{number}" for number in range(1, 61)} | {
        "#samples", "#steps"}
    assert all(f'id="{link[1:]}"' in html for link in page.links if link.startswith("#"))


def test_what_failed_alike_is_one_group(path):
    with Ledger(path, server=SERVER) as ledger:
        for number in range(4):
            add_sample(ledger, number, "failed", (BEGAN, BEGAN, BEGAN + 9), [1], stderr="out of memory at {number}\n")
        add_sample(ledger, 4, "failed", (BEGAN, BEGAN, BEGAN + 9), [1], stderr="no such genome\n")
    text = Page(a_page(path)).text
    assert "4 samples, at step 3 (Align)" in text and "NX26-0001 , NX26-0002 , NX26-0003 , NX26-0004" in text
    assert "NX26-0005, at step 3 (Align)" in text and "That is the end of NX26-0001's standard error." in text


def test_a_ledger_without_facts_and_one_of_schema_1_have_a_page(path):
    write_ledger(path, 20, failed=.5, with_facts=False, server="")
    page = Page(a_page(path))
    assert "exit code 109: SOLUTION: re-run STAR" in page.text and "Run time by step" not in page.text
    assert not [link for link in page.links if link.startswith("http")]
    old = path.with_name("old.ledger")
    base = sqlite3.connect(old)
    base.executescript(Path(__file__).with_name("ledger_schema_1.sql").read_text())
    base.close()
    text = Page(a_page(old)).text
    assert "1 of 4 failed" in text and "at step 3 (copy)" in text and "running" in text


def test_an_empty_ledger_and_a_choice_of_samples(path):
    Ledger(path).close()
    assert "The ledger has no samples." in Page(a_page(path)).text
    path.unlink()
    write_ledger(path, 30, failed=.3)
    text = Page(a_page(path, states=["ok"], name="NX26-0001")).text
    assert text.count("NX26-0001") >= 1 and "NX26-0002" not in text and "Ended well" in text


def test_facts_of_an_earlier_run_are_not_shown(path):
    with Ledger(path, server=SERVER) as ledger:
        sample = ledger.add("k", "S")
        sample.save(state="failed", invocation="i1", begun=stamp(BEGAN), message="x")
        save_facts(sample, failure={"stderr": "the first run's", "tool": "t"})
        sample.save(state="failed", invocation="i2", attempt=2, message="the second run's")
        assert "the first run's" not in a_page(path) and "attempt 2" in a_page(path)
        save_facts(sample, results=[])
        assert read_facts(path)["k"] == {"invocation": "i2", "results": []}


def test_an_acknowledged_failure_says_so(path):
    write_ledger(path, 3, failed=1, running=0, waiting=0)
    from galaxy_api_scripts.batch.ledger import acknowledge
    acknowledge(path, ["NX26-0002"])
    assert a_page(path).count("<small>acknowledged<") == 1


# ------------------------------------------------------------------------------------------------------ safe, and small

def test_everything_from_elsewhere_is_escaped_cleaned_and_without_secrets(path):
    with Ledger(path, server="javascript:alert(1)", user=NASTY, folder=f"/data/{NASTY}") as ledger:
        sample = ledger.add("k", NASTY, place=f"/x/{NASTY}")
        sample.save(state="failed", invocation=NASTY, history=NASTY, failed_step=NASTY, message=NASTY, begun=stamp(BEGAN),
                    results=f"/out/{NASTY}")
        save_facts(sample, failure={"stderr": f"{NASTY}\nhttps://me:pass-word@host/?key={KEY}", "tool": NASTY, "job": NASTY},
                   results=[{"label": NASTY, "src": "hda", "id": NASTY, "ext": NASTY, "size": 1, "state": NASTY}],
                   result_count=1, result_size=1, workflow={"name": NASTY, "id": NASTY, "version": NASTY}, galaxy=NASTY,
                   steps=[{"step": NASTY, "label": NASTY, "tool": NASTY, "version": NASTY, "jobs": 1, "run_time": 3}])
    html = a_page(path)
    page = Page(html)
    assert "script" not in page.tags and page.text.count("<script>alert('1')</script>") >= 8
    assert "\x1b" not in html and "\u202e" not in html and "pass-word" not in html and KEY not in html
    assert {link for link in page.links if not link.startswith(("#", "./", "data:,"))} == set()
    html.encode()


@pytest.mark.parametrize("stderr", ["{number}" + "<'\"&>" * 400, "{number}" + "\u00e4\u4e2d\n" * 900])
def test_a_thousand_samples_are_under_3_mb_even_if_all_failed_and_say_much(path, stderr):
    write_ledger(path, 1000, failed=1, running=0, waiting=0, stderr=stderr)
    html = a_page(path)
    assert len(html.encode()) < 3_000_000 and html.count("<tr id=") == 1000 and html.count("<pre>") > 1000
    Page(html)


def test_of_very_many_the_oldest_that_ended_well_are_left_out(path, monkeypatch):
    monkeypatch.setattr("galaxy_api_scripts.batch.page.MAX_SAMPLES", 20)
    write_ledger(path, 50, failed=.2)
    page = Page(a_page(path))
    assert "30 older samples are not shown" in page.text and page.tags.count("tr") == 20 + 1 + 4 + 6
    with closing(sqlite3.connect(path)) as ledger:
        failed = [name for name, in ledger.execute("SELECT name FROM units WHERE state = 'failed'")]
    assert failed and all(name in page.text for name in failed) and "NX26-0050" in page.text


def test_a_path_that_is_no_page_is_refused(tmp_path, path):
    (tmp_path / "mine.html").write_text("x")
    (tmp_path / "index.html").write_text("<!DOCTYPE html>\n<title>The core's own page</title>")
    write_ledger(path, 1)
    (tmp_path / "page.html").write_text(a_page(path))
    for name, words in (("a.pdf", "ends in .html"), ("mine.html", "no page of these scripts, so it is not replaced"),
                        ("index.html", "no page of these scripts"),
                        ("", "not a file's name"), ("none/a.html", "not a file's name")):
        with pytest.raises(GalaxyError, match=words) as refused:
            check_page_path(str(tmp_path / name) if name else "")
        assert refused.value.exit_code == USAGE
    assert check_page_path(str(tmp_path / "page.html")) and check_page_path(str(tmp_path / "new.HTML"))
    with pytest.raises(GalaxyError, match="the sheet or the ledger"):
        check_page_path(str(tmp_path / "page.html"), tmp_path / "page.html")


# ------------------------------------------------------------------------------------------------------------- the plots

def a_row(number, begun=0, started=None, ended=60, state="ok", steps=()):
    return {"anchor": f"s{number}", "name": f"S{number}", "state": state, "sign": "+", "words": state, "begun": begun,
            "started": begun if started is None else started, "ended": ended,
            "steps": [{"step": step, "label": step, "tool": "t", "run_time": time} for step, time in steps]}


def test_the_time_line_is_in_percent_of_the_whole():
    line = draw_timeline([a_row(1, 100, 150, 200), a_row(2, 0, 0, 50, "failed"), a_row(3, None)])
    assert [bar["label"] for bar in line["bars"]] == ["S2", "S1"] and not line["is_dense"]
    first, second = line["bars"]
    assert (first["left"], first["width"], first["kind"]) == (0, 25, "error")
    assert (second["wait"], second["left"], second["width"]) == ({"left": 50, "width": 25}, 75, 25)
    assert draw_timeline([a_row(1, None)]) is None


def test_the_time_line_of_years_shows_the_newest():
    line = draw_timeline([a_row(1, 0, 0, 100), a_row(2, 10**7, 10**7, 10**7 + 100), a_row(3, 10**7, 10**7, 10**7 + 50)])
    assert (len(line["bars"]), line["earlier"]) == (2, 1)


def test_a_sample_under_way_is_drawn_beside_one_that_failed_at_once():
    line = draw_timeline([a_row(1, 0, 0, 3, "failed"), a_row(2, 1, 2, 7201, "running")])
    assert [(bar["label"], bar["kind"]) for bar in line["bars"]] == [("S1", "error"), ("S2", "other")]
    assert line["bars"][1]["left"] + line["bars"][1]["width"] == pytest.approx(100) and line["earlier"] == 0


def test_many_samples_are_thin_lines_with_failures_above():
    line = draw_timeline([a_row(number, number, number, number + 5, "failed" if number == 3 else "ok")
                          for number in range(MAX_NAMED_ROWS + 1)])
    assert line["is_dense"] and line["bars"][-1]["label"] == "S3"


def test_steps_are_drawn_as_dots_or_as_a_box():
    few = draw_steps([a_row(1, steps=[("10", 30), ("9", 10)]), a_row(2, steps=[("9", 20)])])
    assert [step["step"] for step in few["steps"]] == ["9", "10"]
    nine = few["steps"][0]
    assert (nine["words"], nine["share"], nine["box"]) == ("median 15 s (10 s to 20 s)", 50, None)
    assert [point["words"] for point in nine["points"]] == ["S1: 10 s", "S2: 20 s"] and nine["slowest"]["address"] == "#s2"
    many = draw_steps([a_row(number, steps=[("1", 100 if number == 19 else 10 + number % 4)]) for number in range(20)])
    [step] = many["steps"]
    assert step["box"] and [point["words"] for point in step["points"]] == ["S19: 1 min 40 s"]
    assert draw_steps([a_row(1)]) is None and draw_steps([a_row(1, steps=[("1", None)])]) is None


# ---------------------------------------------------------------------------------------------------- what Galaxy is asked

@pytest.fixture
def ended(path, requests_mock):
    """A ledger with a sample whose invocation `i` has ended, and Galaxy's answers about it."""
    runs = Runs(requests_mock, a_step(0, "places"), a_step(1, "hot", a_job("j1"), a_job("j2")),
                kinds={0: ("data_input", None, None), 1: ("tool", "Filter1", "1.1.1")},
                outputs={"log": {"src": "hda", "id": "d9"}, "other": {"src": "hda", "id": "d8"}},
                output_collections={"all": {"src": "hdca", "id": "c1"}})
    requests_mock.get(f"{API}/invocations/i/metrics", json=runs.measured("j1", 12) + runs.measured("j2", 30))
    requests_mock.get(f"{API}/datasets", json=[
        {"id": "d9", "state": "ok", "extension": "txt", "file_size": 2048, "misc_blurb": "2 lines"},
        {"id": "d8", "state": "ok", "extension": "txt", "file_size": 0, "misc_blurb": "skipped"}])
    requests_mock.get(f"{API}/dataset_collections/c1", json={"id": "c1", "elements": [
        {"element_identifier": name, "element_type": "hda",
         "object": {"id": name, "state": "ok", "file_size": 100, "file_ext": "bam"}} for name in "ab"]})
    with Ledger(path, server=URL) as ledger:
        sample = ledger.add("k", "S")
        sample.save(state="ok", invocation="i", history="h", begun=stamp(BEGAN), ended=stamp(BEGAN + 60))
        yield SimpleNamespace(ledger=ledger, sample=sample, runs=runs, galaxy=Galaxy(KEY, URL, patience=0))


def test_galaxy_is_asked_once_for_each_sample_that_has_ended(path, ended):
    gatherer = FactsGatherer(ended.galaxy, ended.ledger)
    assert gatherer.gather(10) is False
    asked = ended.runs.asked()
    assert sorted(asked) == ["dataset_collections/c1", "datasets", "invocations/i", "invocations/i/metrics", "version",
                             "workflows/w"]
    facts = read_facts(path)["k"]
    assert facts["steps"] == [{"step": "1", "label": "hot", "tool": "Filter1", "version": "1.1.1", "jobs": 2,
                               "run_time": 42}]
    assert [(one["label"], one.get("count"), one["size"], one["ext"]) for one in facts["results"]] == [
        ("log", None, 2048, "txt"), ("all", 2, 200, "bam")] and (facts["result_count"], facts["result_size"]) == (2, 2248)
    assert facts["workflow"] == {"id": "stored-w", "name": "Hot days", "version": 3} and facts["galaxy"] == "26.1.1"
    assert FactsGatherer(ended.galaxy, ended.ledger).gather(10) is False and ended.runs.asked() == asked
    ended.sample.save(state="ok", ended=stamp(BEGAN + 99))      # the same invocation has ended again: its job was rerun
    gatherer.gather(10)
    assert len(ended.runs.asked()) == len(asked) + 4        # the workflow and the version are known


def test_a_run_that_is_gone_is_noted_and_a_server_that_is_away_is_asked_again(path, ended, requests_mock):
    requests_mock.get(f"{API}/invocations/i", status_code=503)
    FactsGatherer(ended.galaxy, ended.ledger).gather(10)
    assert read_facts(path) == {}
    requests_mock.get(f"{API}/invocations/i", status_code=404, json={"err_msg": "no such run"})
    FactsGatherer(ended.galaxy, ended.ledger).gather(10)
    assert "no such run" in read_facts(path)["k"]["problem"]
    count = len(requests_mock.request_history)
    FactsGatherer(ended.galaxy, ended.ledger).gather(10)
    assert len(requests_mock.request_history) == count


def test_a_failure_is_noted_without_a_page(path):
    with Ledger(path) as ledger:
        sample = ledger.add("k", "S")
        sample.save(invocation="i")
        note_failure(sample, None)
        assert read_facts(path) == {}
        note_failure(sample, {"step": "1", "label": "hot", "stderr": "boom", "address": "x"})
        assert read_facts(path)["k"]["failure"]["stderr"] == "boom"


def test_the_page_is_rewritten_when_something_has_changed(path, ended, monkeypatch, capsys):
    page, clock = path.with_name("page.html"), [100.0]
    monkeypatch.setattr(page_writer.time, "monotonic", lambda: clock[0])
    runner = SimpleNamespace(galaxy=ended.galaxy, ledger=ended.ledger, on_round=None, context=SimpleNamespace(labels=[]))
    with PageWriter(runner, page) as writer:
        assert "Hot days" in page.read_text() and runner.on_round == writer.update
        page.unlink()
        ended.ledger.add("k2", "second")
        writer.update()
        assert not page.exists()        # that was a moment ago
        clock[0] += 1000
        writer.update()
        assert "second" in page.read_text()
        page.unlink()
        clock[0] += 1000
        writer.update()
        assert not page.exists()        # nothing has changed
        page.mkdir()
        ended.ledger.add("k3", "third")
        for _ in range(2):
            clock[0] += 1000
            writer.update()
        assert capsys.readouterr().err.count("not a file's name") == 1
        page.rmdir()
    assert "third" in page.read_text() and runner.on_round is None
    page.unlink()
    with pytest.raises(KeyError), PageWriter(runner, page):
        page.unlink()
        raise KeyError
    assert page.exists()        # the last page is written whatever ends the work
    with pytest.raises(GalaxyError, match="--report"), PageWriter(runner, page):
        page.unlink()
        page.mkdir()


def test_a_page_that_can_not_be_made_does_not_end_the_work(path, ended, monkeypatch, capsys):
    page, clock = path.with_name("page.html"), [100.0]
    monkeypatch.setattr(page_writer.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(page_writer, "render_ledger", lambda *_, **__: [][0])
    runner = SimpleNamespace(galaxy=ended.galaxy, ledger=ended.ledger, on_round=None, context=SimpleNamespace(labels=[]))
    ended.runs.mock.get(f"{API}/invocations/i", json={"id": "i"})     # without what a run has
    with pytest.raises(GalaxyError, match=r"--report=.*: the page can't be made: IndexError"), \
            PageWriter(runner, page) as writer:
        for name in ("k2", "k3"):
            ended.ledger.add(name, name)
            clock[0] += 1000
            writer.update()
        told = capsys.readouterr().err
        assert told.count("IndexError") == 1 and told.count("S: the page shows less of it: KeyError") == 1


def test_the_last_page_does_not_wait_for_galaxy(path, ended, monkeypatch):
    """Its samples' facts are asked for as long as MAX_ASKING, and a server that is away is not waited for."""
    clock = [100.0]
    monkeypatch.setattr(page_writer.time, "monotonic", lambda: clock[0])
    ended.galaxy.patience = 600
    runner = SimpleNamespace(galaxy=ended.galaxy, ledger=ended.ledger, on_round=None, context=SimpleNamespace(labels=[]))
    with PageWriter(runner, path.with_name("page.html")) as writer:
        assert (writer.gatherer.galaxy.patience, ended.galaxy.patience) == (0, 600)
        for number in range(3):
            ended.ledger.add(f"k{number}", "S").save(state="ok", invocation="i", ended=stamp(BEGAN))
        asked = []

        def ask(sample):
            asked.append(sample.invocation)
            clock[0] += page_writer.MAX_ASKING + 1
            return {}

        monkeypatch.setattr(writer.gatherer, "_ask", ask)
    assert asked == ["i"]


# ---------------------------------------------------------------------------------------------------------- ledger_show.py

def test_ledger_show_writes_a_page_and_asks_no_server(script, path, capsys):
    write_ledger(path, 12, failed=.4, running=0, waiting=0)
    page = path.with_name("page.html")
    for _ in range(2):
        assert script(ledger_show.main, f"--report={page}", path) == DONE
        assert capsys.readouterr().out == f"{page}\n" and "NX26-0012" in page.read_text()
    names = {state: {one["name"] for one in read_samples(path, [state])} for state in ("ok", "failed")}
    assert names["ok"] and names["failed"]
    assert script(ledger_show.main, f"--report={page}", "--name=nosuch", path) == FAILED
    assert "no sample 'nosuch'" in capsys.readouterr().err
    assert script(ledger_show.main, f"--report={page}", "--state=failed", path) == DONE
    text = Page(page.read_text()).text
    assert all(name in text for name in names["failed"]) and not any(name in text for name in names["ok"])
    assert script(ledger_show.main, f"--report={path}", path) == USAGE
    assert script(ledger_show.main, f"--report={page}", "--counts", path) == USAGE
