"""Data libraries: folders by their paths, what is in them, and what the server must allow."""
from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from common import NON_TERMINAL_DATASET_STATES, NON_TERMINAL_JOB_STATES, USAGE, Galaxy, GalaxyError, parse_id
from galaxy_api_scripts.datasets.upload import post_fetch
from galaxy_api_scripts.files import hold_lock, state_folder

PAGE = 500  # items of a folder; Galaxy 26.1 takes 2 s for so many, and hands out 10 unless told
BATCH = 50  # files a job; more in one are hardly faster
BATCH_BYTES = 256 * 2**20   # a run that is killed has sent a batch for nothing
# states of datasets whose bytes are not there and don't come by themselves
LOST_STATES = ("error", "discarded", "paused")
PAUSED_ADVICE = "most often the quota of this key's user is used up; make room, then delete"     # resumed, a fetch stays `new`

Path = tuple[str, ...]      # names of folders below the one where all begins, which is ()


@dataclass
class LibraryFolder:
    """A folder of a library: its id, and what is in it, as `GET /api/folders/ID/contents` describes it."""

    id: str
    items: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._files: dict[str, list[dict[str, Any]]] = {}
        for item in self.items:
            if item["type"] == "file":
                self._files.setdefault(item["name"], []).append(item)

    def named(self, name: str) -> list[dict[str, Any]]:
        """The datasets of that name."""
        return self._files.get(name, [])

    def sizes(self, name: str) -> list[int]:
        """The sizes (bytes) of the datasets of that name that are whole."""
        return [file["raw_size"] for file in self.named(name) if file["state"] not in (*LOST_STATES, *NON_TERMINAL_DATASET_STATES)]

    def has(self, name: str, size: int) -> bool:
        """Whether a dataset of that name and size (bytes) is there, or one of that name is just being made."""
        return size in self.sizes(name) or any(file["state"] in NON_TERMINAL_DATASET_STATES for file in self.named(name))


@dataclass
class LibraryListing:
    """What is in a library, or below a folder of it: the ids of the datasets and of the folders at each path, which has /
    between its names."""

    files: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=dict)

    def below(self, folder: str) -> LibraryListing:
        """What of it is below the folder at that path, with the paths from there on."""
        start = f"{folder}/"
        return LibraryListing(*({path[len(start):]: ids for path, ids in all_of.items() if path.startswith(start)}
                         for all_of in (self.files, self.folders)))


def list_library(galaxy: Galaxy, library: str) -> LibraryListing:
    """All that is in a library and that the key's user may see.

    One request, and a tenth of the time of `open_folder` for each folder, but without sizes and states (Galaxy 26.1, 2,000
    datasets: 0.5 s; 1.3 s for others than administrators, who see only folders that they may add to where all in them was
    fetched).
    """
    found = LibraryListing()
    for item in galaxy.get(f"libraries/{library}/contents", timeout=(10, 300)):     # seconds
        if item["name"] != "/":
            kind = found.files if item["type"] == "file" else found.folders
            kind.setdefault(item["name"][1:], []).append(item["id"])
    return found


def contents_path(galaxy: Galaxy, kind: str = "libraries") -> str:
    """The path of the library's or history's contents that the user's URL names; a usage error where it names none."""
    found = re.search(rf"/api/({kind}/[\w-]+)(/contents)?/?$", urlsplit(galaxy.url).path)
    if not found:
        raise GalaxyError(f"URL is {galaxy.base}/api/{kind}/ID/contents here", USAGE)
    return f"{found.group(1)}/contents"


def parse_folder_id(text: str, name: str) -> str:
    """`text` where it can be the id of a library's folder; a usage error naming the argument `name` where it can't."""
    if not parse_id(text, name).startswith("F"):
        raise GalaxyError(
            f"{name}: {text} is no folder's id, which begins with F, as a library's root_folder_id does", USAGE)
    return text


def folder_in_use(galaxy: Galaxy, library: str, folder: str = "") -> str:
    """The id of `folder`, or of that which holds all the library's others; refused where the library, the folder or one
    that it is in was deleted: Galaxy 26.1 goes on filling those, and nobody sees it."""
    about = galaxy.get(f"libraries/{library}")
    what, above = f"library {library}", folder
    while above and not about.get("deleted"):
        about = galaxy.get(f"folders/{above}")
        what, above = f"folder {above}", about["parent_id"]
    if about.get("deleted"):
        raise GalaxyError(f"{what} ({about['name']}) is deleted: an administrator of the server can bring it back")
    return folder or str(about["root_folder_id"])


def find_library(galaxy: Galaxy, name: str) -> dict[str, Any] | None:
    """The library called exactly `name`, None where there is none; two are refused, with their ids."""
    same = [one for one in galaxy.get("libraries", {"deleted": "false"}) if one["name"] == name]
    if len(same) > 1:
        raise GalaxyError(f"{len(same)} libraries are named {name!r}: {', '.join(one['id'] for one in same)}; rename or delete "
                      "all but one")
    return same[0] if same else None


def open_folder(galaxy: Galaxy, folder: str, library: str = "") -> LibraryFolder:
    """The folder with that id and all that is in it; refused where it is not in `library`, or the key's user may not add
    to it.

    Galaxy 26.1 lets everybody add to every folder through `/api/tools/fetch`, so that question is put here.
    """
    items: dict[str, dict[str, Any]] = {}
    offset = 0
    while True:
        answer = galaxy.get(f"folders/{folder}/contents", {"limit": PAGE, "offset": offset})
        about = answer["metadata"]
        if library and about["parent_library_id"] != library:
            raise GalaxyError(f"folder {folder} ({about['folder_name']}) is not in library {library}")
        if library and not about["can_add_library_item"]:
            raise GalaxyError(f"this key's user may not add to folder {folder} ({about['folder_name']}): the library's managers "
                          "and the server's administrator can permit it")
        # When sub-folders fill a page, Galaxy 26.1 puts all datasets behind them, so some come twice.
        items.update((item["type"] + item["id"], item) for item in answer["folder_contents"])
        offset += PAGE
        if offset >= about["total_rows"]:
            return LibraryFolder(folder, list(items.values()))


def find_folders(galaxy: Galaxy, library: str, start: str, paths: Iterable[Path]) -> dict[Path, LibraryFolder]:
    """The folders at `paths` below the folder `start`, and those on the way to them, as far as they are there.

    One request a folder, for each 500 things in it. Two folders of one name where one is wanted are refused.
    """
    found: dict[Path, LibraryFolder] = {(): open_folder(galaxy, start, library)}
    wanted = {path[:length] for path in paths for length in range(1, len(path) + 1)}
    for path in sorted(wanted, key=len):
        if path[:-1] not in found:
            continue
        same = [item["id"] for item in found[path[:-1]].items if item["type"] == "folder" and item["name"] == path[-1]]
        if len(same) > 1:
            raise GalaxyError(
                f"{len(same)} folders are named {'/'.join(path)}: {', '.join(same)}; rename or delete all but one")
        if same:
            found[path] = open_folder(galaxy, same[0], library)
    return found


def create_folders(galaxy: Galaxy, found: dict[Path, LibraryFolder], path: Path) -> LibraryFolder:
    """The folder at `path`, made with those on the way to it where they are not in `found`, which then has them."""
    if path not in found:
        above = create_folders(galaxy, found, path[:-1])
        found[path] = LibraryFolder(galaxy.post(f"folders/{above.id}", {"name": path[-1], "description": ""})["id"])
    return found[path]


def require_path_paste(galaxy: Galaxy, otherwise: str = "") -> None:
    """Refuse, with what to do `otherwise`, unless this key may have the server read files of its own by their paths."""
    galaxy.require_admin("naming paths on the server", otherwise)
    if not galaxy.get("configuration").get("allow_library_path_paste"):
        raise GalaxyError("the server takes no paths: its administrator can set allow_path_paste: true in galaxy.yml"
                      f"{otherwise}")


class LibraryUploads:
    """Files on their way into one library, by jobs that belong to one history, so that a later run finds them.

    Galaxy puts what is fetched into a library when its job has ended, and only then is it in its folder's list.
    """

    def __init__(self, galaxy: Galaxy, library: str):
        self.galaxy, self.name = galaxy, f"Uploads to library {library}"
        self.otherwise = f"Galaxy does not say why; its job is in the history {self.name!r}"
        same = galaxy.pages("histories", {"q": "name-eq", "qv": self.name})
        self.history = next((str(one["id"]) for one in same if one["name"] == self.name), "")   # the oldest
        self.jobs: list[str] = []

    def under_way(self) -> list[str]:
        """The ids of those jobs, an earlier run's too, that have not ended; refused while some of them are paused, since
        more of them would wait beside those, with the same files."""
        asked = {"history_id": self.history, "state": [*NON_TERMINAL_JOB_STATES, "paused"]}
        jobs = list(self.galaxy.pages("jobs", asked)) if self.history else []
        paused = [str(job["id"]) for job in jobs if job["state"] == "paused"]
        if paused:
            raise GalaxyError(f"the history {self.name!r} has paused jobs ({', '.join(paused[:3])}"
                          f"{', ...' if len(paused) > 3 else ''}): {PAUSED_ADVICE} them (delete.py KEY .../api/jobs/ID)")
        return [str(job["id"]) for job in jobs]

    def fetch(self, files: list[tuple[LibraryFolder, dict[str, Any], dict[str, str] | None]]) -> None:
        """Let Galaxy put these files, each a folder and what `tus.upload_file` returns, into the library by one job, which is
        then among `jobs`."""
        self.history = self.history or str(self.galaxy.post("histories", {"name": self.name})["id"])
        files = sorted(files, key=lambda file: file[0].id)
        targets = [{"destination": {"type": "library_folder", "library_folder_id": folder.removeprefix("F")},
                    "elements": [element for _, element, _ in same]}
                   for folder, same in itertools.groupby(files, key=lambda file: file[0].id)]
        answer = post_fetch(self.galaxy, self.history, targets, [session for _, _, session in files if session])
        self.jobs += [str(job["id"]) for job in answer["jobs"]]

    def wait(self, jobs: list[str], timeout: float | None) -> None:
        """Wait until these jobs have ended, well or not: that is to be seen in the folders."""
        if jobs and "paused" in self.galaxy.wait_jobs(self.history, jobs, timeout).values():
            self.otherwise = f"its job is paused in the history {self.name!r}: {PAUSED_ADVICE} that job"

    def wrong(self, folder: LibraryFolder, files: list[tuple[str, int]]) -> dict[str, str]:
        """As `upload_problems` for the uploaded files of a folder."""
        return upload_problems(self.galaxy, folder, files, self.otherwise)


def upload_problems(galaxy: Galaxy, folder: LibraryFolder, files: list[tuple[str, int]], otherwise: str) -> dict[str, str]:
    """`{name: what}` for those of the files, each a name and a size, that were not in `folder` and are not there once by
    now; Galaxy's own words about them, else `otherwise`.

    What is there of them in state `error` is deleted, so that runs of every night leave no heap.
    """
    now = open_folder(galaxy, folder.id)
    why = upload_failures(galaxy, folder, now, {name for name, _ in files})
    found = {}
    for name, size in files:
        same, fresh = now.sizes(name).count(size), set(now.sizes(name)) - set(folder.sizes(name))
        if same > 1:
            found[name] = f"{same} datasets of this name and size are there: another account or machine uploads it, too; " \
                          "delete all but one"
        elif not now.has(name, size) and name not in why and fresh:
            found[name] = size_mismatch(min(fresh), size)
        elif not now.has(name, size):
            found[name] = missing_message(why, name, otherwise)
    return found


def upload_failures(galaxy: Galaxy, before: LibraryFolder, now: LibraryFolder, names: set[str]) -> dict[str, list[str]]:
    """What Galaxy says about each of these names in a folder that is in state `error`, which is deleted."""
    known = {item["id"] for item in before.items if item["type"] == "file"}
    why: dict[str, list[str]] = {}
    for item in now.items:
        # Galaxy 26.1 forgets the name of a file whose content it won't take.
        if item["type"] == "file" and item["state"] == "error" and (
                item["name"] in names or item["name"] == "Unnamed dataset" and item["id"] not in known):
            said = why.setdefault(item["name"], [])
            said.append(str(item.get("message")).strip())
            try:
                galaxy.delete(f"libraries/datasets/{item['id']}")
            except GalaxyError as error:        # whoever may add may not always delete
                said.append(f"it stays there in state error: {error}")
    return why


def size_mismatch(size: int, expected: int) -> str:
    return f"arrived with {size} bytes, {expected} were expected: it changed meanwhile"


def missing_message(why: dict[str, list[str]], name: str, otherwise: str) -> str:
    """What to tell of a file that is not there: what `upload_failures` found about it, else `otherwise`."""
    return f"Galaxy did not keep it: {'; '.join(dict.fromkeys(why.get(name) or why.get('Unnamed dataset') or [otherwise]))}"


class Sized(Protocol):
    """Something that has a size (bytes)."""

    @property
    def size(self) -> int: ...


A_FILE = TypeVar("A_FILE", bound=Sized)


def upload_batches(files: Iterable[A_FILE], most_bytes: int = BATCH_BYTES) -> Iterator[list[A_FILE]]:
    """The files in lists for one job each; what is large goes alone."""
    batch: list[A_FILE] = []
    for file in files:
        if batch and (len(batch) == BATCH or sum(one.size for one in batch) + file.size > most_bytes):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def exclusive_run(what: str) -> AbstractContextManager[int]:
    """Hold this account's lock for `what`; `GalaxyError` (TRY_LATER) if another process does."""
    return hold_lock(state_folder("locks") / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.lock", what)
