"""What the lines of docs/coverage.md are about: each thing is made on the server when a line first names it."""
import json
import re
import secrets

import requests
from fakes.coverage_entries import THINGS, thing

from common import backoff

from .conftest import ROOT, become, local

TEXT = "one\t1\ntwo\t2\n"


class World:
    """The things that one client's lines name, by name; each is a dict, whose `id` stands in the lines."""

    def __init__(self, person, other, admin, folder, lasting, home):
        self.person, self.other, self.admin, self.folder = person, other, admin, folder
        self.home = home            # the folder that the server is in
        self.lasting = lasting      # what is made once for all clients
        self._made, self._making = {}, []

    def get(self, name):
        for outer in self._making:
            self._made[outer]["needs"].add(name)
        if name not in self._made:
            self._made[name] = {"needs": set()}
            self._making.append(name)
            try:
                self._made[name]["thing"] = THINGS[name](self)
            except BaseException:
                del self._made[name]
                raise
            finally:
                self._making.remove(name)
        else:
            for outer in self._making:
                self._made[outer]["needs"] |= self._made[name]["needs"]
        return self._made[name]["thing"]

    def forget(self, names):
        """Let these things, and those made with them, be made again when they are named next."""
        for name in [made for made in self._made if made in names or self._made[made]["needs"] & set(names)]:
            del self._made[name]

    def id(self, name):
        return self.get(name)["id"]

    def once(self, name, make):
        if name not in self.lasting:
            self.lasting[name] = make()
        return self.lasting[name]

    def post(self, path, who=None, **body):
        return (who or self.person).asked("POST", path, json=body)


def unique():
    return f"live {secrets.token_hex(4)}"


def plain(value):
    return {"id": value}


@thing
def NAME(world):
    """A name that nothing has yet."""
    return plain(unique())


@thing
def FILE(world):
    path = world.folder / "table.tsv"
    path.write_text(TEXT)
    return {"id": path.name, "text": TEXT, "size": len(TEXT)}


@thing
def USER(world):
    return {**world.person.look("users/current"), "key": world.person.key}


@thing
def OTHER(world):
    """Another user, with histories of their own."""
    return {**world.other.look("users/current"), "key": world.other.key}


@thing
def HISTORY(world):
    return world.post("histories", name=unique())


@thing
def TARGET(world):
    """Another history of the same user's."""
    return world.post("histories", name=unique())


def paste(world, history, wait=False, **element):
    """A dataset that Galaxy makes from text; `wait` until it is ok."""
    made = world.post("tools/fetch", history_id=history, targets=[{"destination": {"type": "hdas"}, "elements": [
        {"src": "pasted", "paste_content": TEXT, "name": "table", "ext": "tabular", **element}]}])["outputs"][0]
    for _ in backoff(120, 0.2, 1) if wait else []:
        if world.person.look(f"datasets/{made['id']}")["state"] == "ok":
            break
    return made


@thing
def BASE(world):
    """A dataset in state ok, which others are copies of; the fetch that made it had no input."""
    return world.once("base", lambda: paste(world, world.person.new_history("base"), wait=True))


@thing
def DATASET(world):
    made = world.post(f"histories/{world.id('HISTORY')}/contents", source="hda", content=world.id("BASE"), type="dataset")
    return {**made, "text": TEXT, "size": len(TEXT)}


@thing
def NEW_DATASET(world):
    """A dataset that is still being made."""
    return paste(world, world.id("HISTORY"))


@thing
def COMPOSITE(world):
    """A dataset of two files."""
    for suffix in ("imzml", "ibd"):
        (world.folder / f"pixels.{suffix}").write_text(TEXT)
    lines = world.person.run("dataset_upload.py", "--quiet", "--wait", "--format=value", "--fields=id", world.person.key,
                             world.person.url, world.id("HISTORY"), "--ext=imzml", *map(str, world.folder.glob("pixels.*")))
    return plain(lines.stdout.strip())


@thing
def NEW_COLLECTION(world):
    """A list of a dataset that is still being made."""
    return collect(world, world.id("NEW_DATASET"))


def collect(world, dataset):
    return world.post(
        f"histories/{world.id('HISTORY')}/contents", type="dataset_collection", collection_type="list", name=unique(),
        element_identifiers=[{"name": "first", "src": "hda", "id": dataset}])


@thing
def COLLECTION(world):
    """A list of one dataset, `first`."""
    return collect(world, world.id("DATASET"))


@thing
def LIBRARY(world):
    """A library that the user may add to."""
    made = world.post("libraries", world.admin, name=unique(), description="of the tests")
    role = world.get("USER_ROLE")["id"]
    world.post(f"libraries/{made['id']}/permissions", world.admin,
               **{"action": "set_permissions", "add_ids[]": [role], "modify_ids[]": [role]})
    return {**made, "root": made["root_folder_id"]}


@thing
def FOLDER(world):
    """A folder in the library."""
    return world.post(f"folders/{world.get('LIBRARY')['root']}", name=unique(), description="of the tests")


@thing
def LIBRARY_DATASET(world):
    """A dataset in the library's folder."""
    return world.post(f"folders/{world.id('FOLDER')}/contents", from_hda_id=world.id("DATASET"), ldda_message="copied")


@thing
def NEW_LIBRARY_DATASET(world):
    """The dataset in the library's folder that is being made from a text."""
    contents = world.person.look(f"folders/{world.id('FOLDER')}/contents")["folder_contents"]
    return next(one for one in contents if one["name"] == "Pasted Entry")


@thing
def USER_ROLE(world):
    """The role of the user alone."""
    email = world.person.email
    return next(one for one in world.admin.look("roles") if one["name"] == email and one["type"] == "private")


@thing
def ROLE(world):
    return world.post("roles", world.admin, name=unique(), description="of the tests", user_ids=[])


@thing
def GROUP(world):
    made = world.post("groups", world.admin, name=unique(), user_ids=[], role_ids=[])
    return made[0]


@thing
def WORKFLOW(world):
    content = json.loads((ROOT / "demo" / "wet_days.ga").read_text())
    return world.post("workflows", workflow=content)


@thing
def BUILD(world):
    """A reference genome of the user's own, of one chromosome."""
    world.person.asked("PUT", f"users/{world.id('USER')}/custom_builds/mini", json={
        "name": "Mini", "len_type": "text", "len_value": "chrI\t60"})
    return plain("mini")


@thing
def FORM(world):
    """A form for users' details: only a browser's session can make one, and it stays in Galaxy's list for good."""
    name = "Details of the tests"
    for form in world.admin.look("forms"):
        if form["name"] == name:
            return form
    browser, url = requests.Session(), world.admin.url
    password = (world.home / "password").read_text().strip()
    browser.get(url, timeout=60)
    token = browser.get(f"{url}/context", timeout=60).json()["session_csrf_token"]
    login = {"login": world.admin.look("users/current")["email"], "password": password, "session_csrf_token": token}
    assert browser.post(f"{url}/user/login", json=login, timeout=60).ok
    made = browser.post(f"{url}/forms/create_form", timeout=60, json={
        "name": name, "desc": "of the tests", "type": "User Information", "fields_0|name": "town", "fields_0|label": "Town",
        "fields_0|type": "text"})
    assert made.ok, made.text
    return next(one for one in world.admin.look("forms") if one["name"] == name)


@thing
def SERVER(world):
    """The Galaxy, and the release that was installed."""
    series, patch = re.search(r"^release +(\d+\.\d+)\.(.+)$", local("status").stdout, re.MULTILINE).groups()
    return {"id": world.person.url, "series": series, "patch": patch}


@thing
def FORM_FILE(world):
    (world.folder / "form.xml").write_text(
        '<form name="details" type="user_info"><fields><field type="text" name="x" label="X"/></fields></form>')
    return plain("form.xml")


@thing
def NUMBER(world):
    """The number that the history's id stands for."""
    return plain(str(world.admin.look(f"configuration/decode/{world.id('HISTORY')}")["decoded_id"]))


@thing
def LOG(world):
    return plain(str(world.home / "logs" / "server.log"))


@thing
def LOG_SIZE(world):
    return plain(str((world.home / "logs" / "server.log").stat().st_size + 1))


@thing
def MISSING_GENOME(world):
    """A genome that the data tables lack."""
    for table in ("all_fasta", "fasta_indexes"):
        for row in world.admin.look(f"tool_data/{table}")["fields"]:
            if row[0] == "ce11":
                world.admin.asked("DELETE", f"tool_data/{table}", json={"values": "\t".join(row)})
        become(lambda table=table: "ce11" in [row[0] for row in world.admin.look(f"tool_data/{table}")["fields"]], False)
    return plain("ce11")


@thing
def ADDRESS(world):
    """An address that the server can get a file from."""
    return plain(f"{world.person.url}/api/datasets/{world.id('DATASET')}/display?to_ext=tabular")


@thing
def SERVERS_FILE(world):
    """A file on the server's disk."""
    (world.folder / "run.tsv").write_text(TEXT)
    return plain("run.tsv")


@thing
def IMPORT_DIR(world):
    """A folder in the server's import directory, with the file imported.tsv."""
    folder = world.home / "import" / unique().replace(" ", "_")
    folder.mkdir(parents=True)
    (folder / "imported.tsv").write_text(TEXT)
    return {"id": folder.name, "file": "imported.tsv"}


@thing
def FTP_FILE(world):
    """A file that the user has sent by FTP."""
    folder = world.home / "ftp" / world.person.email
    folder.mkdir(parents=True)
    (folder / "sent.tsv").write_text(TEXT)
    return {"id": "sent.tsv", "size": len(TEXT)}


@thing
def MAIL(world):
    """The file that the server writes its last mail to."""
    return plain(str(world.home / "mail.json"))
