"""What the lines of docs/coverage.md on workflows, runs, jobs and uploads are about."""
import base64
import json

import requests
from fakes.coverage_entries import thing

from common import backoff

from .conftest import WORKFLOWS
from .coverage_things import TEXT, plain, unique

COPY = """class: GalaxyWorkflow
label: NAME
inputs: {table: data}
steps: {copy: {tool_id: cat1, in: {input1: table}}}
outputs: {copied: {outputSource: copy/out_file1}}
"""


def until(look, good):
    """What `look()` gives once it is `good`."""
    for _ in backoff(120, 0.2, 1):
        seen = look()
        if good(seen):
            return seen
    raise AssertionError(seen)


def as_format2(text):
    return {"class": "GalaxyWorkflow", "yaml_content": text}


def copying(world, who=None):
    """A workflow of one step, which copies a table."""
    return world.post("workflows", who, workflow=as_format2(COPY.replace("NAME", unique())))


def begin(world, workflow, history):
    return world.post(f"workflows/{workflow}/invocations", history_id=history, inputs_by="name",
                      inputs={"table": {"src": "hda", "id": world.id("BASE")}})


def ended_job(person, job):
    return until(lambda: person.look(f"jobs/{job}"), lambda job: job["state"] in ("ok", "error", "paused"))


# --------------------------------------------------------------------------------------------------------- workflows

@thing
def GA_FILE(world):
    """A file of a workflow."""
    text = {"a_galaxy_workflow": "true", "format-version": "0.1", "name": unique(), "steps": {}}
    (world.folder / "rna.ga").write_text(json.dumps(text))
    return {"id": "rna.ga", "name": text["name"]}


@thing
def SHARED(world):
    """A workflow of another user's, open by its link."""
    made = copying(world, world.other)
    world.other.asked("PUT", f"workflows/{made['id']}/enable_link_access")
    return made


# -------------------------------------------------------------------------------------------------------------- runs

@thing
def INVOCATION(world):
    """A run that has ended well, of one step."""
    def make():
        history, workflow = world.person.new_history("ended"), copying(world)
        run = begin(world, workflow["id"], history)["id"]
        made = until(lambda: world.person.look(f"invocations/{run}", step_details="true"),
                     lambda made: len(made["steps"]) == 2)
        [job] = made["steps"][1]["jobs"]
        assert ended_job(world.person, job["id"])["state"] == "ok"
        until(lambda: world.person.look(f"invocations/{run}")["state"], lambda state: state in ("scheduled", "completed"))
        return {**made, "workflow": workflow["id"], "label": workflow["name"], "table": made["inputs"]["0"]["id"]}
    return world.once("ended run", make)


@thing
def RUN_OF(world):
    """The workflow of INVOCATION."""
    return plain(world.get("INVOCATION")["workflow"])


@thing
def STEP(world):
    """The last step of INVOCATION."""
    return world.get("INVOCATION")["steps"][1]


@thing
def WAITING(world):
    """A run that waits at a step for somebody to look."""
    def make():
        text = (WORKFLOWS / "paused.gxwf.yml").read_text()
        return world.post("workflows", workflow=as_format2(text))["id"]
    workflow = world.once("review", make)
    run = begin(world, workflow, world.id("HISTORY"))["id"]
    made = until(lambda: world.person.look(f"invocations/{run}"), lambda run: len(run["steps"]) > 2)
    return {**made, "workflow": workflow}


@thing
def REVIEW(world):
    """The workflow of WAITING."""
    return plain(world.get("WAITING")["workflow"])


@thing
def LOOK(world):
    """The step at which WAITING waits."""
    return next(one for one in world.get("WAITING")["steps"] if one["order_index"] == 2)


# -------------------------------------------------------------------------------------------------------------- jobs

@thing
def JOB(world):
    """The job of INVOCATION, which copies its table."""
    [job] = world.get("STEP")["jobs"]
    made = world.person.look(f"jobs/{job['id']}")
    copy = world.person.look(f"datasets/{made['outputs']['out_file1']['id']}")
    return {**made, "table": world.id("TABLE"), "copy": copy["id"], "copy_name": copy["name"]}


@thing
def JOB_HISTORY(world):
    return plain(world.get("JOB")["history_id"])


@thing
def TABLE(world):
    """The input of JOB."""
    return plain(world.get("INVOCATION")["table"])


@thing
def FAILED_JOB(world):
    """A job that looks at a column that there is not, and has failed; another one waits for it."""
    history = world.id("HISTORY")

    def run(tool, **inputs):
        return world.post("tools", history_id=history, tool_id=tool, inputs=inputs)
    made = run("Filter1", input={"src": "hda", "id": world.id("DATASET")}, cond="c7>20", header_lines="0")
    output = made["outputs"][0]["id"]
    waits = run("cat1", input1={"src": "hda", "id": output})["jobs"][0]
    assert ended_job(world.person, made["jobs"][0]["id"])["state"] == "error"
    return {**made["jobs"][0], "output": output, "waits": waits["id"]}


@thing
def FAILED(world):
    """The dataset that FAILED_JOB should have made."""
    return plain(world.get("FAILED_JOB")["output"])


@thing
def PAUSED_JOB(world):
    """A job that is paused, because its input has failed."""
    made = world.get("FAILED_JOB")["waits"]
    assert ended_job(world.person, made)["state"] == "paused"
    return plain(made)


@thing
def HELD_JOB(world):
    """A job of the other user's that was paused because they had no space, which they have now."""
    other = world.other
    history = other.new_history("full")
    [table] = world.post("tools/fetch", other, history_id=history, targets=[{"destination": {"type": "hdas"}, "elements": [
        {"src": "pasted", "paste_content": TEXT, "name": "table", "ext": "tabular"}]}])["outputs"]
    until(lambda: other.look(f"datasets/{table['id']}")["state"], lambda state: state == "ok")
    quota = world.post("quotas", world.admin, name=unique(), description="none", amount="1 B", operation="=",
                       in_users=[world.id("OTHER")])
    try:
        made = world.post("tools", other, history_id=history, tool_id="cat1", inputs={
            "input1": {"src": "hda", "id": table["id"]}})["jobs"][0]
        assert ended_job(other, made["id"])["state"] == "paused"
    finally:
        world.admin.asked("DELETE", f"quotas/{quota['id']}", json={"purge": True})
    return made


# ----------------------------------------------------------------------------------------------------------- uploads

@thing
def SESSION(world):
    """A resumable upload that is complete."""
    named = ",".join(f"{name} {base64.b64encode(value).decode()}" for name, value in (
        ("filename", b"table.tsv"), ("filetype", b"")))
    answer = requests.post(f"{world.person.url}/api/upload/resumable_upload", data=TEXT.encode(), timeout=60, headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": str(len(TEXT)), "Upload-Metadata": named,
        "Content-Type": "application/offset+octet-stream", "x-api-key": world.person.key})
    assert answer.status_code == 201, answer.text
    return plain(answer.headers["Location"].rpartition("/")[2])
