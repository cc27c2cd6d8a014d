"""What the lines of docs/coverage.md on users, quotas, data tables and Tool Sheds are about."""
import json
import secrets
import subprocess
import tarfile
from types import SimpleNamespace

import pytest
import requests
from fakes.coverage_entries import thing

from galaxy_api_scripts.local_server.home import home_secrets

from .coverage_runs import until
from .coverage_things import plain, unique

TOOL_XML = """<tool id="coverage" name="Weather of tomorrow" version="0.1" profile="24.2">
  <requirements>
    <credentials name="forecast" version="1.0" label="Forecast" description="Where forecasts come from">
      <variable name="server" inject_as_env="SERVER" label="Server" description="Its address" optional="true"/>
    </credentials>
  </requirements>
  <command>echo "sunny" > '$out'</command>
  <inputs><param name="place" type="text" value="Oslo"/></inputs>
  <outputs><data name="out" format="txt"/></outputs>
</tool>
"""


# ------------------------------------------------------------------------------------------------------------- users

@thing
def USER_MAIL(world):
    return plain(world.person.email)


@thing
def PASSWORD_FILE(world):
    """A file with the password of the one who types."""
    (world.folder / "password").write_text(world.person.password + "\n")
    return plain("password")


@thing
def LOGIN(world):
    """A public name that nobody has yet."""
    return plain(f"live-{secrets.token_hex(4)}")


@thing
def SOMEBODY(world):
    """A third user, without a key."""
    name = f"live-{secrets.token_hex(4)}"
    return world.post("users", world.admin, email=f"{name}@example.org", username=name, password=secrets.token_urlsafe(12))


@thing
def SOMEBODY_MAIL(world):
    return plain(world.get("SOMEBODY")["email"])


@thing
def QUOTA(world):
    return world.post("quotas", world.admin, name=unique(), description="of the tests", amount="2 GB", operation="+")


@thing
def PLOT(world):
    title = unique()
    made = world.post("visualizations", type="trackster", title=title, config={"dataset": world.id("DATASET")})
    return {**made, "title": title, "dataset": world.id("DATASET")}


# ------------------------------------------------------------------------------------------------------- data tables

@thing
def ROW(world):
    """A row that is in a data table's file, and not yet loaded."""
    value = f"live{secrets.token_hex(4)}"
    with open(world.home / "data" / "tool-data" / "fasta_indexes.loc", "a") as table:
        table.write("\t".join([value] * 4) + "\n")
    world.lasting["undo"].append(lambda: world.admin.asked(
        "DELETE", "tool_data/fasta_indexes", json={"values": "\t".join([value] * 4)}))
    return {"id": value, "cells": [value] * 4}


@thing
def ROW_FILE(world):
    """A file with ROW in it."""
    (world.folder / "row.tsv").write_text("\t".join(world.get("ROW")["cells"]) + "\n")
    return plain("row.tsv")


@thing
def UNUSED(world):
    """The path of an environment that no tool of the second server needs."""
    path = world.home / "conda" / "envs" / "__nothing@1"
    path.mkdir(parents=True, exist_ok=True)
    return plain(str(path))


# --------------------------------------------------------------------------------------------------------- Tool Shed

@thing
def SHED(world):
    """The Tool Shed's address; `who` asks it, as the owner of its repositories."""
    return {"id": world.lasting["shed"], "who": world.once("shed's owner", lambda: shed_owner(world))}


def shed_owner(world):
    url = world.lasting["shed"]

    def asked(method, path, key, **options):
        answer = requests.request(method, f"{url}/api/{path}", headers={"x-api-key": key}, timeout=120, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    key = home_secrets(world.home)["bootstrap_key"]
    [user] = [one for one in asked("GET", "users", key) if one["username"] == "demo"]
    own = asked("GET", f"users/{user['id']}/api_key", key)
    return SimpleNamespace(url=url, key=own, asked=lambda method, path, **options: asked(method, path, own, **options))


def shed_look(world, path, **params):
    return world.get("SHED")["who"].asked("GET", path, params=params)


@thing
def SHED_KEY(world):
    return plain(world.get("SHED")["who"].key)


@thing
def CATEGORY(world):
    return shed_look(world, "categories")[0]


@thing
def TALLY(world):
    """The repository that each local Tool Shed has."""
    [made] = shed_look(world, "repositories", owner="demo", name="tally")
    old, new = shed_look(world, "repositories/get_ordered_installable_revisions", owner="demo", name="tally")
    return {**made, "old": old, "new": new}


INDEX = """
import sys, yaml
from tool_shed.util.shed_index import build_index
with open(sys.argv[1]) as file:
    told = yaml.safe_load(file)["tool_shed"]
build_index(told["whoosh_index_dir"], told["file_path"], told["hgweb_config_dir"], "repos/", told["database_connection"])
"""


@thing
def INDEXED(world):
    """The name of TALLY, once the Tool Shed's administrator has made the index for its search."""
    def make():
        settings = world.home / "config" / "tool_shed.yml"
        if "toolshed_search_on: true" not in settings.read_text():
            pytest.skip("the Tool Shed runs with older settings, without search: stop and start it")
        subprocess.run([str(world.home / "venv" / "bin" / "python"), "-c", INDEX, str(settings)], check=True,
                       capture_output=True, timeout=300)
    world.once("index", make)
    return {"id": world.get("TALLY")["name"], "tool": "Tally"}


@thing
def REVISION(world):
    """The first revision of TALLY."""
    return plain(world.get("TALLY")["old"])


@thing
def REPOSITORY_NAME(world):
    """A name that no repository has yet."""
    return plain(f"live_{secrets.token_hex(4)}")


def new_repository(world, name):
    return world.get("SHED")["who"].asked("POST", "repositories", json={
        "name": name, "synopsis": "of the tests", "description": "Made by a test", "type": "unrestricted",
        "category_ids[]": [world.id("CATEGORY")]})


@thing
def EMPTY(world):
    """The repository of REPOSITORY_NAME, without any revision."""
    name = world.id("REPOSITORY_NAME")
    [made] = shed_look(world, "repositories", owner="demo", name=name) or [new_repository(world, name)]
    world.lasting["undo"].append(lambda: world.get("SHED")["who"].asked("PUT", f"repositories/{made['id']}/deprecated"))
    return made


@thing
def ARCHIVE(world):
    """A file with a tool in it."""
    (world.folder / "weather.xml").write_text(TOOL_XML)
    with tarfile.open(world.folder / "weather.tar.gz", "w:gz") as archive:
        archive.add(world.folder / "weather.xml", "weather.xml")
    return {"id": "weather.tar.gz", "text": TOOL_XML}


@thing
def REPOSITORY(world):
    """A repository of one tool, which asks for credentials: its name, and its `revision`."""
    known = {"owner": "demo", "name": "coverage"}
    found = shed_look(world, "repositories", **known) or [new_repository(world, known["name"])]
    [repository] = [one for one in found if one["name"] == known["name"]]
    revisions = "repositories/get_ordered_installable_revisions"
    if not shed_look(world, revisions, **known):
        path = f"repositories/{repository['id']}/changeset_revision"
        with open(world.folder / world.id("ARCHIVE"), "rb") as file:
            world.get("SHED")["who"].asked("POST", path, files={"file": file})
    return {"id": known["name"], "revision": shed_look(world, revisions, **known)[-1]}


@thing
def INSTALLED(world):
    """Galaxy's record of REPOSITORY, which is installed until all lines have run."""
    look = {"owner": "demo", "name": world.id("REPOSITORY")}

    def make():
        world.post("tool_shed_repositories/new/install_repository_revision", world.admin, **look,
                   tool_shed_url=world.id("SHED"), changeset_revision=world.get("REPOSITORY")["revision"])
        [record] = [one for one in world.admin.look("tool_shed_repositories", **look) if one["status"] == "Installed"]
        world.lasting["undo"].append(lambda: world.admin.asked("DELETE", f"tool_shed_repositories/{record['id']}"))
        until(lambda: [one["id"] for one in world.admin.look("tools", in_panel="false")],
              lambda tools: tool_id(world) in tools)
        return record
    return world.once("installed", make)


def tool_id(world):
    return f"{world.id('SHED').split('://')[1]}/repos/demo/coverage/coverage/0.1"


@thing
def TOOL(world):
    """The tool of INSTALLED."""
    world.get("INSTALLED")
    return plain(tool_id(world))


@thing
def CREDENTIALS_FILE(world):
    about = {"name": "forecast", "version": "1.0", "group": {
        "name": "at home", "variables": [{"name": "server", "value": "weather.example.org"}], "secrets": []}}
    content = {"source_type": "tool", "source_id": world.id("TOOL"), "source_version": "0.1", "service_credential": about}
    (world.folder / "credentials.json").write_text(json.dumps(content))
    return {"id": "credentials.json", "content": content}


@thing
def CREDENTIALS(world):
    """The user's credentials for TOOL; `group` is their only group."""
    user = world.id("USER")
    look = {"source_type": "tool", "source_id": world.id("TOOL")}
    [made] = world.person.look(f"users/{user}/credentials", **look) or [None]
    if made is None:
        world.post(f"users/{user}/credentials", **world.get("CREDENTIALS_FILE")["content"])
        [made] = world.person.look(f"users/{user}/credentials", **look)
    return {**made, "group": made["groups"][0]["id"]}


@thing
def CHOICE_FILE(world):
    made = world.get("CREDENTIALS")
    (world.folder / "choice.json").write_text(json.dumps({
        "source_type": "tool", "source_id": world.id("TOOL"), "source_version": "0.1",
        "service_credentials": [{"user_credentials_id": made["id"], "current_group_id": made["group"]}]}))
    return plain("choice.json")
