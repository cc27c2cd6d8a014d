"""What the lines of docs/coverage.md are about: each thing is made on the server when a line first names it."""
import json
import secrets

from fakes.coverage_entries import THINGS, thing

from .conftest import ROOT

TEXT = "one\t1\ntwo\t2\n"


class World:
    """The things that one client's lines name, by name; each is a dict, whose `id` stands in the lines."""

    def __init__(self, person, other, admin, folder, lasting):
        self.person, self.other, self.admin, self.folder = person, other, admin, folder
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


def base(world):
    """A dataset in state ok, which others are copies of."""
    (world.folder / "base.tsv").write_text(TEXT)
    return world.once("base", lambda: world.person.uploaded(
        world.person.new_history("base"), world.folder / "base.tsv", file_type="tabular"))


@thing
def DATASET(world):
    made = world.post(f"histories/{world.id('HISTORY')}/contents", source="hda", content=base(world), type="dataset")
    return {**made, "text": TEXT}


@thing
def COLLECTION(world):
    """A list of one dataset, `first`."""
    return world.post(
        f"histories/{world.id('HISTORY')}/contents", type="dataset_collection", collection_type="list", name=unique(),
        element_identifiers=[{"name": "first", "src": "hda", "id": world.id("DATASET")}])


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
