"""The whole job of each script against the fake Galaxy: what the fake holds before, the command line, what it holds after.

`run(*words, status=0, err="", stdin="")` runs the script in the folder `run.work` and returns what it printed. A new script
is a new function here, of the script's name.
"""
import io
import json
import tarfile
import zipfile

from fakes import KEY
from fakes.accounts import FakeAccounts
from fakes.galaxy import FakeGalaxy
from fakes.permissions import LAB
from fakes.resources import DATA_INPUT, WORKFLOW
from galaxy_api_scripts.batch.ledger import Ledger

OLD, NEW = "c130a1238ddf", "912d014682f1"       # revisions
JOBS = {}       # {script: its whole job}
OF_ACCOUNTS = ("user_list.py", "user_create.py", "user_delete.py", "group_set.py", "quota_set.py")


def fake_of(script):
    """The class of the fake for the whole job of a script."""
    return FakeAccounts if script in OF_ACCOUNTS else FakeGalaxy


def job_of(act, script=""):
    """Register `act` as the whole job of `script`, or of the script that it is named for."""
    JOBS[script or f"{act.__name__}.py"] = act
    return act


def write_workflow(run):
    (run.work / "copy.ga").write_text(json.dumps({"a_galaxy_workflow": "true", "name": "copy", "steps": {}}))


def archive():
    """A history as Galaxy exports it."""
    files = {"history_attrs.txt": json.dumps({"name": "Run 12", "tags": []}).encode(), "datasets/a.txt": b"abc",
             "datasets_attrs.txt": json.dumps([{"name": "a", "file_name": "datasets/a.txt", "state": "ok"}]).encode()}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(text)
            packed.addfile(about, io.BytesIO(text))
    return content.getvalue()


@job_of
def display(galaxy, run):
    history = galaxy.create_history("Run 12")
    assert f"  name: Run 12\n  id: {history}\n" in run(KEY, f"{galaxy.url}/api/histories")
    assert run("--format=value", "--fields=name", KEY, f"{galaxy.url}/api/histories/{history}") == "Run 12\n"


@job_of
def create(galaxy, run):
    assert run(KEY, f"{galaxy.url}/api/histories", "name=Run 12").startswith("Response\n--------\n{'id': '")
    assert [one["name"] for one in galaxy.histories.values()] == ["Run 12"]


@job_of
def update(galaxy, run):
    history = galaxy.create_history("Run 12")
    assert "'name': 'Run 13'" in run(KEY, f"{galaxy.url}/api/histories/{history}", "name=Run 13")
    assert galaxy.histories[history]["name"] == "Run 13"


@job_of
def delete(galaxy, run):
    history = galaxy.create_history("Run 12")
    assert "'deleted': True" in run(KEY, f"{galaxy.url}/api/histories/{history}")
    assert galaxy.histories[history]["deleted"]


@job_of
def history_create_history(galaxy, run):
    assert "'name': 'Run 12'" in run(KEY, galaxy.url, "Run 12")
    assert [one["name"] for one in galaxy.histories.values()] == ["Run 12"]


@job_of
def history_delete_history(galaxy, run):
    history = galaxy.create_history("Run 12")
    assert "'deleted': True" in run(KEY, f"{galaxy.url}/api/histories/{history}")
    assert galaxy.histories[history]["deleted"]


@job_of
def key_show(galaxy, run):
    galaxy.answers["GET /api/authenticate/baseauth"] = (200, {"api_key": "f" * 32})
    assert run(galaxy.url, "me@example.org", stdin="secret\n") == "f" * 32 + "\n"
    assert galaxy.asked[-1].headers["Authorization"] == "Basic bWVAZXhhbXBsZS5vcmc6c2VjcmV0"


@job_of
def library_create_library(galaxy, run):
    assert "'name': 'Lab'" in run(KEY, galaxy.url, "Lab", "Ours", "short")
    [library] = galaxy.libraries.values()
    assert (library["name"], library["description"], library["synopsis"]) == ("Lab", "Ours", "short")


@job_of
def library_create_folder(galaxy, run):
    library = galaxy.create_library("Lab")
    root, contents = library["root_folder_id"], f"{galaxy.url}/api/libraries/{library['id']}/contents"
    assert "Run 12" in run(KEY, contents, root, "Run 12", "all")
    [folder] = galaxy.children(root)
    assert (folder["type"], folder["name"], folder["description"]) == ("folder", "Run 12", "all")


@job_of
def copy_hda_to_library_folder(galaxy, run):
    library, dataset = galaxy.create_library("Lab"), galaxy.create_dataset("a.txt", b"abc")
    assert "a.txt" in run(galaxy.url, KEY, dataset, library["id"], library["root_folder_id"], "good")
    [file] = galaxy.children(library["root_folder_id"])
    assert (file["type"], file["name"], file["message"], file["content"]) == ("file", "a.txt", "good", b"abc")


@job_of
def import_library_dataset_to_history(galaxy, run):
    history, file = galaxy.create_history("Run 12"), galaxy.create_file("Lab", "a.txt", b"abc")
    assert "a.txt" in run(KEY, f"{galaxy.url}/api/histories/{history}/contents", file["id"])
    assert galaxy.held(history) == {"a.txt": b"abc"}


@job_of
def library_upload_from_import_dir(galaxy, run):
    library = galaxy.create_library("Lab")
    galaxy.import_dir["run12"] = {"a.txt": b"abc"}
    out = run(KEY, f"{galaxy.url}/api/libraries/{library['id']}/contents", library["root_folder_id"], "txt", "run12", "?")
    assert "a.txt" in out
    assert {one["name"]: one["content"] for one in galaxy.children(library["root_folder_id"])} == {"a.txt": b"abc"}


@job_of
def workflow_list(galaxy, run):
    assert "Copy" in run(KEY, galaxy.url)


@job_of
def workflow_delete(galaxy, run):
    run(KEY, f"{galaxy.url}/api/workflows/{WORKFLOW}")
    assert set(galaxy.deleted_workflows) == {WORKFLOW}


@job_of
def upload_to_history(galaxy, run):
    history = galaxy.create_history("Run 12")
    (run.work / "a.txt").write_text("abc")
    assert run(KEY, galaxy.url, history, "a.txt", "filename=b.txt", err="'outputs'") == ""
    assert galaxy.held(history) == {"b.txt": b"abc"}


@job_of
def dataset_upload(galaxy, run):
    history = galaxy.create_history("Run 12")
    (run.work / "a.txt").write_text("abc")
    (run.work / "b.bed").write_text("chr1\t1\t2\n")
    out = run("--wait", "--format=value", "--fields=name,state", KEY, galaxy.url, history, "a.txt", "b.bed")
    assert out == "a.txt\tok\nb.bed\tok\n"
    assert galaxy.held(history) == {"a.txt": b"abc", "b.bed": b"chr1\t1\t2\n"}


@job_of
def dataset_download(galaxy, run):
    dataset = galaxy.create_dataset("a.txt", b"abc")
    assert run("--to=out", KEY, galaxy.url, dataset) == "out/a.txt\n"
    assert (run.work / "out" / "a.txt").read_bytes() == b"abc"


@job_of
def dataset_list(galaxy, run):
    dataset = galaxy.create_dataset("a.txt", b"abc")
    out = run("--format=value", "--fields=id,name,state", KEY, galaxy.url, galaxy.datasets[dataset]["history_id"])
    assert out == f"{dataset}\ta.txt\tok\n"


@job_of
def dataset_show(galaxy, run):
    dataset = galaxy.create_dataset("a.txt", b"abc")
    assert run("--format=value", "--fields=id,name,state", KEY, galaxy.url, dataset) == f"{dataset}\ta.txt\tok\n"


@job_of
def dataset_wait(galaxy, run):
    dataset = galaxy.create_dataset("a.txt", b"abc", "queued")
    assert run("--format=value", KEY, galaxy.url, dataset) == f"{dataset}\tok\n"


@job_of
def dataset_delete(galaxy, run):
    dataset, kept = galaxy.create_dataset("a.txt", b"abc"), galaxy.create_dataset("b.txt", b"abc")
    assert "a.txt" in run(KEY, galaxy.url, dataset)
    assert galaxy.datasets[dataset]["deleted"] and not galaxy.datasets[kept]["deleted"]


@job_of
def collection_create(galaxy, run):
    history = galaxy.create_history("Run 12")
    (run.work / "a.txt").write_text("abc")
    (run.work / "b.txt").write_text("xyz")
    run(KEY, galaxy.url, history, "Samples", "a.txt", "b.txt")
    [collection] = galaxy.collections.values()
    assert collection["name"] == "Samples"
    assert {name: galaxy.datasets[one]["content"] for name, one in collection["elements"]} == {"a": b"abc", "b": b"xyz"}


@job_of
def tool_list(galaxy, run):
    galaxy.tools["cat1"] = bytes
    assert "cat1" in run(KEY, galaxy.url)


@job_of
def tool_show(galaxy, run):
    galaxy.tools["cat1"] = bytes
    assert "input" in run(KEY, galaxy.url, "cat1")


@job_of
def route_list(galaxy, run):
    assert "share_with_users" in run(KEY, galaxy.url, "share", "history")


@job_of
def route_show(galaxy, run):
    assert run(KEY, galaxy.url, "POST", "histories").endswith("\ncreate.py - /api/histories name=NAME\n")


@job_of
def search(galaxy, run):
    galaxy.create_history("Run 12")
    assert run("--format=value", galaxy.url, KEY, "select name from history") == "Run 12\n"


@job_of
def workflow_show(galaxy, run):
    out = run(KEY, galaxy.url, "Copy")
    assert "table" in out and "other" in out


@job_of
def workflow_template(galaxy, run):
    assert "table" in run(KEY, galaxy.url, "Copy")


@job_of
def workflow_export(galaxy, run):
    run("--to=copy.ga", KEY, galaxy.url, "Copy")
    assert json.loads((run.work / "copy.ga").read_text())["name"] == "Copy"


@job_of
def workflow_import(galaxy, run):
    write_workflow(run)
    assert run(KEY, galaxy.url, "copy.ga") == ""
    assert [one["name"] for one in galaxy.imported] == ["copy"]


@job_of
def workflow_import_from_file_rpark(galaxy, run):
    write_workflow(run)
    assert "copy" in run(KEY, galaxy.url, "copy.ga")
    assert [one["name"] for one in galaxy.imported] == ["copy"]


@job_of
def workflow_execute(galaxy, run):
    dataset = galaxy.create_dataset("a.tsv", b"abc")
    history = galaxy.datasets[dataset]["history_id"]
    run(KEY, f"{galaxy.url}/api/workflows", WORKFLOW, f"hist_id={history}", f"0=hda={dataset}")
    assert [one["history_id"] for one in galaxy.runs.values()] == [history]


job_of(workflow_execute, "workflow_execute_parameters.py")


@job_of
def workflow_run(galaxy, run):
    (run.work / "a.tsv").write_text("abc")
    run("-q", "--history=new:Run 12", "--download=out", KEY, galaxy.url, "Copy", "table=a.tsv")
    assert [one["name"] for one in galaxy.histories.values()] == ["Run 12"]
    assert (run.work / "out" / "first.tabular").read_text() == "abc"


@job_of
def workflow_batch(galaxy, run):
    for name in "ab":
        (run.work / f"{name}.tsv").write_text(name)
    (run.work / "sheet.tsv").write_text("sample\ttable\na\ta.tsv\nb\tb.tsv\n")
    out = run("--download=out", "--format=value", "--fields=name,state", KEY, galaxy.url, "Copy", "sheet.tsv")
    assert sorted(out.splitlines()) == ["a\tok", "b\tok"]
    assert [(run.work / "out" / name / "first.tabular").read_text() for name in "ab"] == ["a", "b"]


@job_of
def ledger_show(galaxy, run):
    with Ledger(str(run.work / "x.ledger"), server=galaxy.url) as ledger:
        ledger.add("k" * 32, "a").save(state="ok")
    assert run("--format=value", "--fields=name,state", "x.ledger") == "a\tok\n"


@job_of
def folder_watch(galaxy, run):
    (run.work / "in").mkdir()
    (run.work / "in" / "a.tsv").write_text("abc")
    line = ["-q", "--once", "--settle=0", KEY, galaxy.url, "in", "Copy"]
    run(*line, status=4)
    run(*line)
    assert [one["state"] for one in galaxy.runs.values()] == ["scheduled"]


@job_of
def library_sync(galaxy, run):
    library = galaxy.create_library("Lab")
    (run.work / "in").mkdir()
    (run.work / "in" / "a.tsv").write_text("abc")
    assert run("-q", KEY, galaxy.url, "Lab", "in") == "upload\ta.tsv\t3\tnew\n"
    assert {one["name"]: one["content"] for one in galaxy.children(library["root_folder_id"])} == {"a.tsv": b"abc"}


@job_of
def library_list(galaxy, run):
    library = galaxy.create_library("Lab")
    galaxy.add(galaxy.add(library["root_folder_id"], "in"), "a.txt", b"abc")
    assert run("--format=value", "--fields=name", KEY, galaxy.url) == "Lab\n"
    assert run("-r", "--format=value", "--fields=path,file_size", KEY, galaxy.url, "Lab") == "in\t\nin/a.txt\t3\n"


@job_of
def library_download(galaxy, run):
    library = galaxy.create_library("Lab")
    galaxy.add(galaxy.add(library["root_folder_id"], "in"), "a.txt", b"abc")
    run("--to=out", KEY, galaxy.url, "Lab")
    assert (run.work / "out" / "in" / "a.txt").read_bytes() == b"abc"


@job_of
def library_update(galaxy, run):
    library, galaxy.users[KEY]["is_admin"] = galaxy.create_library("Lab"), True
    galaxy.add(library["root_folder_id"], "a.txt", b"abc")
    run("--path=a.txt", "--name=b.txt", "--move-to=in", KEY, galaxy.url, "Lab")
    assert galaxy.files(library["root_folder_id"]) == {"in/b.txt": b"abc"}


@job_of
def library_permissions(galaxy, run):
    library, galaxy.users[KEY]["is_admin"] = galaxy.create_library("Lab"), True
    file = galaxy.add(library["root_folder_id"], "a.txt", b"abc")
    assert run("--format=value", "--fields=path,permission,roles", "-r", "--restrict", KEY, galaxy.url, "Lab", "access=lab",
               "add+=lab") == 'Lab\taccess\t["lab"]\nLab\tadd\t["lab"]\n/\tadd\t["lab"]\n/a.txt\taccess\t["lab"]\n'
    held = [galaxy.rights_of(one) for one in (library["id"], library["root_folder_id"], file)]
    assert [(one["access"], one["add"]) for one in held] == [([LAB], [LAB]), ([], [LAB]), ([LAB], [])]


@job_of
def library_upload_dir(galaxy, run):
    library = galaxy.create_library("Lab")
    (run.work / "a.tsv").write_text("abc")
    run("--nonlocal", "-u", galaxy.url, "-a", KEY, "-l", library["id"], stdin="a.tsv\n")
    assert {one["name"]: one["content"] for one in galaxy.children(library["root_folder_id"])} == {"a.tsv": b"abc"}


@job_of
def invocation_list(galaxy, run):
    invocation = galaxy.create_invocation()
    assert run("--format=value", "--fields=id,state", KEY, galaxy.url) == f"{invocation}\tscheduled\n"


@job_of
def invocation_show(galaxy, run):
    invocation = galaxy.create_invocation()
    assert "copy" in run(KEY, galaxy.url, invocation)


@job_of
def invocation_wait(galaxy, run):
    invocation = galaxy.create_invocation()
    assert "first" in run(KEY, galaxy.url, invocation)


@job_of
def invocation_cancel(galaxy, run):
    invocation = galaxy.create_invocation("new")
    assert run(KEY, galaxy.url, invocation) == f"{invocation}\tcancelled\tcancelled\n"
    assert galaxy.runs[invocation]["state"] == "cancelled"


@job_of
def invocation_download(galaxy, run):
    invocation = galaxy.create_invocation()
    assert run("--to=out", KEY, galaxy.url, invocation) == "out/first.tabular\n"
    assert (run.work / "out" / "first.tabular").read_text() == "abc"


@job_of
def invocation_report(galaxy, run):
    invocation = galaxy.create_invocation()
    run("--to=page.html", KEY, galaxy.url, invocation)
    assert "Copy" in (run.work / "page.html").read_text()


@job_of
def invocation_rerun(galaxy, run):
    invocation = galaxy.create_invocation()
    run("--all", "--no-wait", KEY, galaxy.url, invocation)
    assert len(galaxy.runs) == 2


@job_of
def invocation_export(galaxy, run):
    invocation = galaxy.create_invocation()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as files:
        files.writestr("ro-crate-metadata.json", "{}")
    galaxy.content = content.getvalue()
    run("--to=run.zip", KEY, galaxy.url, invocation)
    assert (run.work / "run.zip").read_bytes() == galaxy.content


@job_of
def history_export(galaxy, run):
    history, galaxy.content = galaxy.create_history("Run 12"), archive()
    run(KEY, galaxy.url, history, "h.tgz")
    assert (run.work / "h.tgz").read_bytes() == galaxy.content


@job_of
def history_import(galaxy, run):
    (run.work / "h.tgz").write_bytes(archive())
    assert "imported from archive: Run 12" in run(KEY, galaxy.url, "h.tgz")
    [history] = galaxy.histories
    assert galaxy.held(history) == {"a": b"abc"}


@job_of
def job_show(galaxy, run):
    run_id = galaxy.create_invocation()
    job = next(iter(galaxy.runs[run_id]["made"]))
    assert "cat1" in run(KEY, galaxy.url, job)


@job_of
def job_rerun(galaxy, run):
    failed, paused = galaxy.create_failed_job()
    row = run("--format=value", KEY, galaxy.url, failed["id"])
    [new] = [job["id"] for job in galaxy.jobs.values() if job["id"] not in (failed["id"], paused["id"])]
    assert row == f'{failed["id"]}\t{new}\tcut\tok\t["{paused["id"]}"]\n' and paused["state"] == "ok"


@job_of
def history_share(galaxy, run):
    history = galaxy.create_history("Run 12")
    galaxy.create_dataset("a.tsv", b"abc", history=history)
    assert run("--format=value", "--fields=users,link", KEY, galaxy.url, history, "ann@example.org",
               "link") == '["ann@example.org"]\ttrue\n'
    assert galaxy.histories[history]["sharing"] == {"importable": True, "published": False, "users": ["00000000000000b1"]}


@job_of
def workflow_share(galaxy, run):
    assert run("--format=value", "--fields=users,link", KEY, galaxy.url, "Copy", "ann@example.org",
               "link") == '["ann@example.org"]\ttrue\n'
    assert galaxy.workflow_status == {"importable": True, "published": False, "users": ["00000000000000b1"]}


@job_of
def job_wait(galaxy, run):
    run_id = galaxy.create_invocation()
    job = next(iter(galaxy.runs[run_id]["made"]))
    assert run("--format=value", KEY, galaxy.url, job) == f"{job}\tok\n"


@job_of
def job_list(galaxy, run):
    job, _ = (galaxy.create_job("cat1", galaxy.create_history("Run 12"), state) for state in ("queued", "ok"))
    assert run("--format=value", "--fields=id,state,tool", KEY, galaxy.url) == f"{job['id']}\tqueued\tcat1\n"


@job_of
def job_cancel(galaxy, run):
    jobs = [galaxy.create_job("cat1", galaxy.create_history("Run 12"), state) for state in ("queued", "running", "ok")]
    assert run("--format=value", "--fields=id,action", "--state=queued", KEY, galaxy.url) == f"{jobs[0]['id']}\tcancelled\n"
    assert [job["state"] for job in jobs] == ["deleted", "running", "ok"]
    assert run("--state=queued", KEY, galaxy.url) == ""


@job_of
def queue_check(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    assert run(KEY, galaxy.url).startswith("GALAXY QUEUE OK - 0 waiting, 0 running, 0 of 0 failed in 1h | ")


@job_of
def server_check(galaxy, run):
    rows = run("--format=value", "--fields=check,status", KEY, galaxy.url)
    assert len(rows.splitlines()) >= 10 and rows.count("\tok\n") == len(rows.splitlines())


@job_of
def server_wait(galaxy, run):
    line = ("--timeout=3", "--format=value", "--fields=version,user,job", KEY, galaxy.url)
    assert run(*line) == "26.1.1\tme@example.org\tok\n"
    assert galaxy.histories and all(history["deleted"] for history in galaxy.histories.values())


@job_of
def galaxy_local(galaxy, run):
    assert "home" in run("--home=here", "status", status=1)


@job_of
def tool_run(galaxy, run):
    dataset = galaxy.create_dataset("a.tsv", b"abc")
    history = galaxy.datasets[dataset]["history_id"]
    galaxy.tools["upper"] = bytes.upper
    run("--wait", KEY, galaxy.url, history, "upper", f"input=hda:{dataset}")
    assert galaxy.held(history) == {"a.tsv": b"abc", "upper on data": b"ABC"}


@job_of
def recipe_branch(galaxy, run):
    dataset = galaxy.create_dataset("a.tsv", b"abc")
    history = galaxy.datasets[dataset]["history_id"]
    galaxy.inputs = {"table": galaxy.inputs["table"]}
    galaxy.tools["wc_gnu"] = lambda content: b"1"
    galaxy.tool_inputs["wc_gnu"] = [{**DATA_INPUT, "name": "input1"},
                                    {"name": "options", "type": "select", "multiple": True,
                                     "options": [["l", "lines", True]]},
                                    {"name": "include_header", "type": "boolean"}]
    assert "first" in run(KEY, galaxy.url, history, dataset, "Copy", "Copy")
    assert len(galaxy.runs) == 1


@job_of
def recipe_loop(galaxy, run):
    dataset = galaxy.create_dataset("a.tsv", b"1\n2\n")
    galaxy.tools["Filter1"] = bytes
    galaxy.tool_inputs["Filter1"] = [DATA_INPUT, {"name": "cond", "type": "text"}]
    history = galaxy.datasets[dataset]["history_id"]
    assert run(KEY, galaxy.url, history, dataset, "1").startswith("1\t2\t1.5\t")
    assert galaxy.held(history) == {"a.tsv": b"1\n2\n", "Filter1 on data": b"1\n2\n"}


@job_of
def data_manager_example_execute(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    galaxy.tools.update(fetch=bytes, index=bytes)
    out = run("-k", KEY, "-u", galaxy.url, "--fetch-tool=fetch", "--index-tool=index", "-d", "sacCer3", "--sleep_time=1")
    assert "All indexers have been run" in out
    assert [one["tool_id"] for one in galaxy.jobs.values()] == ["fetch", "index"]


@job_of
def data_manager_run(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    galaxy.tools.update(fetch=bytes)
    (run.work / "genomes.yml").write_text(
        "data_managers: [{id: fetch, params: [dbkey: '{{ item }}'], items: [sacCer3, ce11], data_table_reload: all_fasta}]")
    assert "run\tfetch\tce11\tall_fasta\t" in run(KEY, galaxy.url, "genomes.yml")
    assert [one["tool_id"] for one in galaxy.jobs.values()] == ["fetch", "fetch"]


@job_of
def install_tool_shed_repositories(galaxy, run):
    galaxy.users[KEY]["is_admin"], galaxy.revisions = True, [OLD, NEW]
    assert "tally" in run("-u", galaxy.url, "-a", KEY, "-l", galaxy.url, "-n", "tally", "-o", "demo")
    assert [one["changeset_revision"] for one in galaxy.repositories] == [NEW]


@job_of
def repair_tool_shed_repository(galaxy, run):
    galaxy.users[KEY]["is_admin"], galaxy.revisions = True, [OLD, NEW]
    galaxy.post_repository({}, {"name": "tally", "owner": "demo", "changeset_revision": NEW})
    [before] = galaxy.repositories
    run("-u", galaxy.url, "-a", KEY, "-l", galaxy.url, "-n", "tally", "-o", "demo", "-r", NEW)
    [after] = galaxy.repositories
    assert after["id"] != before["id"]


@job_of
def tool_install(galaxy, run):
    galaxy.users[KEY]["is_admin"], galaxy.revisions = True, [OLD, NEW]
    (run.work / "tools.yml").write_text(f"tools:\n- {{name: tally, owner: demo, revisions: [{OLD}]}}\n")
    assert run("--at-once=1", KEY, galaxy.url, "tools.yml", "demo/tally").splitlines() == [
        f"install\tdemo\ttally\t{OLD}\t", f"install\tdemo\ttally\t{NEW}\t"]
    assert [one["changeset_revision"] for one in galaxy.repositories] == [OLD, NEW]


def with_tally(galaxy, *revisions):
    galaxy.users[KEY]["is_admin"], galaxy.revisions = True, [OLD, NEW]
    for revision in revisions:
        galaxy.post_repository({}, {"name": "tally", "owner": "demo", "changeset_revision": revision})


@job_of
def tool_installed(galaxy, run):
    with_tally(galaxy, OLD)
    assert run(KEY, galaxy.url).startswith(f"tools:\n- name: tally\n  owner: demo\n  revisions:\n  - {OLD}\n")


@job_of
def tool_outdated(galaxy, run):
    with_tally(galaxy, OLD)
    assert run("--format=value", "--fields=name,installed,latest", KEY, galaxy.url) == f"tally\t{OLD}\t{NEW}\n"


@job_of
def tool_update(galaxy, run):
    with_tally(galaxy, OLD)
    assert run("--uninstall-old", KEY, galaxy.url).splitlines() == [
        f"update\tdemo\ttally\t{NEW}\t{OLD}\t", f"uninstall\tdemo\ttally\t{OLD}\t\t"]
    assert [one["changeset_revision"] for one in galaxy.repositories] == [NEW]


@job_of
def tool_uninstall(galaxy, run):
    with_tally(galaxy, OLD, NEW)
    assert run(KEY, galaxy.url, f"demo/tally/{OLD}") == f"uninstall\tdemo\ttally\t{OLD}\t\n"
    assert [one["changeset_revision"] for one in galaxy.repositories] == [NEW]


@job_of
def import_workflows_from_installed_tool_shed_repository(galaxy, run):
    galaxy.post_repository({}, {"name": "tally", "owner": "demo", "changeset_revision": NEW})
    galaxy.revisions = [NEW]
    pages = "/repos/demo/tally"
    galaxy.answers[f"GET {pages}/json-manifest/{NEW}"] = (200, {"directories": [], "files": [{"abspath": "t.ga"}]})
    galaxy.answers[f"GET {pages}/raw-file/{NEW}/t.ga"] = (200, {"a_galaxy_workflow": "true", "name": "Tally", "steps": {}})
    assert "Tally" in run("-a", KEY, "-u", galaxy.url, "-l", galaxy.url, "-n", "tally", "-o", "demo", "-r", NEW)
    assert [one["name"] for one in galaxy.imported] == ["Tally"]


@job_of
def reset_metadata_on_installed_repositories(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    assert "unsuccessful_count" in run("-a", KEY, "-u", galaxy.url)


@job_of
def fetch_to_library(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    (run.work / "lab.yml").write_text(
        "destination: {type: library, name: Lab}\nitems:\n- {src: url, url: 'http://x.org/a', name: a}\n")
    assert "jobs" in run("-u", galaxy.url, "-a", KEY, "lab.yml")
    [library] = galaxy.libraries.values()
    assert (library["name"], [one["name"] for one in galaxy.children(library["root_folder_id"])]) == ("Lab", ["a"])


@job_of
def load_data_with_metadata(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    (run.work / "in").mkdir()
    (run.work / "in" / "a.tsv").write_text("abc")
    (run.work / "in" / "a.tsv.json").write_text('{"from": "here"}')
    assert "Loading in/a.tsv" in run(KEY, f"{galaxy.url}/api/", "in", "Lab")
    [library] = galaxy.libraries.values()
    [file] = galaxy.children(library["root_folder_id"])
    assert (file["name"], file["content"], file["metadata"]) == ("a.tsv", b"abc", {"from": "here"})


@job_of
def example_watch_folder(galaxy, run):
    for name in ("in", "out"):
        (run.work / name).mkdir()
    (run.work / "in" / "a.tsv").write_text("abc")
    galaxy.users[KEY]["is_admin"], galaxy.inputs = True, {"table": galaxy.inputs["table"]}
    out = run("--once", "--pause=1", KEY, f"{galaxy.url}/api/", "in", "out", "Lab", WORKFLOW)
    [library], [started] = galaxy.libraries.values(), galaxy.runs.values()
    [file] = galaxy.children(library["root_folder_id"])
    assert (library["name"], file["content"], started["inputs"]["0"]["id"]) == ("Lab", b"abc", file["id"])
    assert out.startswith(f"{{'id': '{started['id']}'")
    assert (run.work / "out" / "a.tsv").read_text() == "abc" and not (run.work / "in" / "a.tsv").exists()


@job_of
def filter_failed_datasets_from_collection(galaxy, run):
    history = galaxy.create_history("Run 12")
    good, bad = galaxy.create_dataset("a", b"a", history=history), galaxy.create_dataset("b", b"", "error", history)
    made = galaxy.post_collections({}, {"history_id": history, "name": "Samples", "element_identifiers": [
        {"name": "a", "id": good}, {"name": "b", "id": bad}]})
    assert run(galaxy.url, KEY, "Run 12", made["hid"]) == ""
    assert [one["elements"] for one in galaxy.collections.values()] == [
        [("a", good), ("b", bad)], [("a", good)], [("b", bad)]]


# -------------------------------------------------------------------------------------------------------------- accounts

def write_table(run, *lines):
    (run.work / "table.csv").write_text("\n".join(lines) + "\n")


@job_of
def user_list(galaxy, run):
    galaxy.add_user("ann@example.org", disk_usage=7)
    assert run("--usage", "--format=value", "--fields=email,disk_usage", KEY, galaxy.url) == \
        "admin@example.org\t0\nann@example.org\t7\n"


@job_of
def user_create(galaxy, run):
    lab, large = galaxy.add_group("lab"), galaxy.add_quota("large", "50 GB")
    write_table(run, "email,name,groups,quota", "ann@example.org,ann,lab,large")
    assert run("--keys=keys.csv", "--format=value", "--fields=email,action", KEY, galaxy.url, "table.csv") == \
        "ann@example.org\tcreated\n"
    ann = galaxy.named(galaxy.users, "ann@example.org")["id"]
    assert galaxy.groups[lab]["users"] == galaxy.quotas[large]["users"] == [ann]
    assert (run.work / "keys.csv").read_text() == f"email,key\nann@example.org,{int(ann, 16):032x}\n"


@job_of
def user_delete(galaxy, run):
    ann = galaxy.add_user("ann@example.org")
    assert run("--purge", "--format=value", "--fields=id,action", KEY, galaxy.url, "ann") == f"{ann}\tpurged\n"
    assert galaxy.users[ann]["purged"]


@job_of
def group_set(galaxy, run):
    ann, bob = (galaxy.add_user(f"{name}@example.org") for name in ("ann", "bob"))
    lab = galaxy.add_group("lab", [bob])
    write_table(run, "group,users", "lab,ann", "new,ann;bob")
    assert run("--format=value", "--fields=name,action", KEY, galaxy.url, "table.csv") == "lab\tchanged\nnew\tcreated\n"
    assert galaxy.groups[lab]["users"] == [ann] and sorted(galaxy.named(galaxy.groups, "new")["users"]) == [ann, bob]


@job_of
def quota_set(galaxy, run):
    ann, large = galaxy.add_user("ann@example.org"), galaxy.add_quota("large", "50 GB")
    write_table(run, "name,amount,users", "large,60 GB,ann", "small,1 GB,")
    assert run("--format=value", "--fields=name,amount,action", KEY, galaxy.url, "table.csv") == \
        "large\t60 GB\tchanged\nsmall\t1 GB\tcreated\n"
    assert (galaxy.quotas[large]["bytes"], galaxy.quotas[large]["users"]) == (60 * 10**9, [ann])
    assert galaxy.named(galaxy.quotas, "small")["bytes"] == 10**9


@job_of
def disk_usage(galaxy, run):
    galaxy.create_dataset("a", b"abc")
    assert run("--format=value", "--fields=user,bytes", KEY, galaxy.url) == "me@example.org\t3\n"


@job_of
def history_expire(galaxy, run):
    galaxy.users[KEY]["is_admin"] = True
    history = galaxy.create_history("Run 12")
    for stage, action in (("--warn", "warned"), ("--delete", "deleted"), ("--purge", "purged")):
        mails = ["--mails=mails"] * (stage == "--warn")
        out = run(stage, *mails, "--grace=0", "--purge-after=0", "--format=value", "--fields=id,action", KEY, galaxy.url,
                  "expiry.db")
        assert out == f"{history}\t{action}\n"
    assert galaxy.histories[history]["purged"] and "Run 12" in next((run.work / "mails").glob("*.eml")).read_text()


@job_of
def dataset_purge(galaxy, run):
    dataset = galaxy.create_dataset("a", b"abc")
    galaxy.datasets[dataset]["deleted"] = True
    assert run("--timeout=3", "--format=value", "--fields=datasets,bytes,action", KEY, galaxy.url) == "1\t3\tpurged\n"
    assert galaxy.datasets[dataset]["purged"]
