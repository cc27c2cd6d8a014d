"""Tool Shed repositories: which revisions exist, which are installed, installing them, and publishing one of our own.

A repository is identified by its Tool Shed's address, its owner and its name, a revision of it by 12 hexadecimal digits.
"""
from __future__ import annotations

import io
import re
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from common import MAY_HAVE_ACTED, STILL_RUNNING, TRY_LATER, USAGE, Answer, Galaxy, GalaxyError

INSTALLED, DEACTIVATED, UNINSTALLED, ERROR = "Installed", "Deactivated", "Uninstalled", "Error"
INSTALL_TIMEOUT = 3600      # seconds to wait for an installation whose answer is lost, as proxies lose it after a minute
LOOKS_AT_ONCE = 4       # into the Tool Sheds

Key = tuple[str, str, str]      # host, owner and name of a repository


class Repository:
    """A repository in the Tool Shed at `shed`; `str()` of it is its name in messages."""

    def __init__(self, shed: str, owner: str, name: str):
        self.shed = Galaxy("anonymous", shed if "://" in shed else f"http://{shed}")
        for text, option in ((owner, "--owner"), (name, "--name")):
            if not re.fullmatch(r"[\w.-]+", text):
                raise GalaxyError(f"{option}={text}: not a name in a Tool Shed", USAGE)
        self.owner, self.name = owner, name
        self.query = {"owner": owner, "name": name}
        self.host = shed_host(self.shed.base)

    def __str__(self) -> str:
        return f"{self.host}/{self.owner}/{self.name}"

    def revisions(self) -> list[str]:
        """The revisions that the Tool Shed offers for installation, the latest last. Raises `GalaxyError` if it has none."""
        revisions: list[str] = self.shed.get("repositories/get_ordered_installable_revisions", self.query)
        if not revisions:
            raise GalaxyError(f"{self} has no revision that can be installed")
        if not all(re.fullmatch("[0-9a-f]{12}", str(revision)) for revision in revisions):
            raise GalaxyError(f"{self.shed.base} answers with revisions that are none: is it a Tool Shed?")
        return revisions

    def metadata(self, revision: str) -> dict[str, Any]:
        """What the Tool Shed knows of `revision`, or of the next one with the same tools that can be installed; {} for
        neither."""
        about = self.shed.get("repositories/get_repository_revision_install_info",
                              {**self.query, "changeset_revision": revision})
        return about[1] or {} if isinstance(about, list) and len(about) > 1 else {}

    def installable_revision(self, revision: str, offered: list[str]) -> str:
        """The revision by which the Tool Shed installs `revision`: that itself if it is among those `offered`, else the next
        one with the same tools. Raises `GalaxyError` if there is none."""
        following = revision if revision in offered else self.metadata(revision).get("changeset_revision")
        if following not in offered:
            raise GalaxyError(f"{self} has no revision {revision} that can be installed, only {', '.join(offered[-5:])}")
        return str(following)

    def revision_with_tool(self, tool_id: str) -> str:
        """The latest revision that has the tool with this id, which ends with its version. Raises `GalaxyError` if none has
        it."""
        found = [one["id"] for one in self.shed.get("repositories", self.query) if one["name"] == self.name]
        metadata = self.shed.get(f"repositories/{found[0]}/metadata") if found else {}
        revisions = [about for about in metadata.values() if about.get("downloadable", True)
                     and any(shed_host(tool["guid"]) == tool_id for tool in about.get("tools") or [])]
        if not revisions:
            raise GalaxyError(f"{self} has no revision with the tool {tool_id}")
        return str(max(revisions, key=lambda about: int(about["numeric_revision"]))["changeset_revision"])

    def records(self, galaxy: Galaxy) -> list[dict[str, Any]]:
        """Galaxy's records of the repository, one for each revision, uninstalled ones too."""
        return [record for record in get_list(galaxy, "tool_shed_repositories", self.query)
                if record["tool_shed"] == self.host]

    def record(self, galaxy: Galaxy, revision: str) -> dict[str, Any]:
        """Galaxy's record of `revision`. Raises `GalaxyError` if it was never installed."""
        records = self.records(galaxy)
        record = find_record(records, revision)
        if not record:
            known = ", ".join(record["changeset_revision"] for record in records)
            raise GalaxyError(f"{self}, revision {revision}, is not installed in {galaxy.base}, "
                              f"{f'which knows the revisions {known}' if known else 'nor is any other revision'}")
        return record

    def workflows(self, revision: str) -> Iterator[tuple[str, Any]]:
        """Yield the path and the content of each workflow (`.ga`) in the repository.

        A Tool Shed may have its archives switched off (26.1, by default), but not Mercurial's listing of a folder.
        """
        folders = [""]
        pages = f"{self.shed.base}/repos/{self.owner}/{self.name}"
        while folders:
            content = self.shed.get(f"{pages}/json-manifest/{revision}{folders.pop()}")
            folders += ["/" + quote(folder["abspath"].strip("/")) for folder in content["directories"]]
            for file in content["files"]:
                if file["abspath"].endswith(".ga"):
                    workflow = self.shed.get(f"{pages}/raw-file/{revision}/{quote(file['abspath'])}")
                    if not isinstance(workflow, dict) or "steps" not in workflow:
                        raise GalaxyError(f"{file['abspath']} of {self.name}, revision {revision}, is not a workflow")
                    yield file["abspath"], workflow


def require_installable(galaxy: Galaxy, repository: Repository, task: str) -> None:
    """Raise `GalaxyError` if the key is no administrator's, as `task` needs, or Galaxy does not know the repository's Tool
    Shed: its own error would not say so."""
    galaxy.require_admin(task)
    require_known_shed(galaxy, repository.shed.base, known_sheds(galaxy))


def get_list(galaxy: Galaxy, path: str, query: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The list that Galaxy answers a GET with; `GalaxyError` for another answer, which would count as an empty list."""
    answer = galaxy.get(path, query)
    if not isinstance(answer, list):
        raise GalaxyError(f"{Answer.latest.line}: the answer is not a list")
    return answer


def known_sheds(galaxy: Galaxy) -> dict[str, str]:
    """The addresses of the Tool Sheds that Galaxy installs from, by host."""
    urls = [unquote(shed["url"]) for shed in get_list(galaxy, "tool_shed")]
    return {shed_host(url): url for url in urls}


def require_known_shed(galaxy: Galaxy, shed: str, known: dict[str, str]) -> None:
    """Raise `GalaxyError` if the Tool Shed `shed`, an address or a host, is not among those `known` to Galaxy."""
    if shed_host(shed) not in known:
        raise GalaxyError(f"{galaxy.base} installs nothing from the Tool Shed {shed}, only from "
                          f"{', '.join(known.values()) or 'none'}: its administrators can add it to "
                          "tool_sheds_config_file (galaxy.yml)")


def install_revision(galaxy: Galaxy, repository: Repository, data: dict[str, Any], record: dict[str, Any] | None,
                     is_repair: bool = False) -> list[dict[str, Any]]:
    """Install the revision of the payload `data` and return Galaxy's records of it. Where Galaxy has a `record` already,
    uninstall that first: a deactivated one Galaxy (26.1) would call installed, and not load its tools.

    Raises `GalaxyError` (TRY_LATER) for one that is being installed, unless this is a repair.
    """
    if record and not is_repair and record["status"] not in (DEACTIVATED, ERROR, UNINSTALLED):
        raise GalaxyError(f"{repository} is being installed (its status is {record['status']}): try again later; if the "
                          "status does not change, repair_tool_shed_repository.py installs it again", TRY_LATER)
    if record and record["status"] != UNINSTALLED:
        repository.revisions()      # nothing is uninstalled while the Tool Shed does not answer
        galaxy.delete(f"tool_shed_repositories/{record['id']}")
        record = find_record(repository.records(galaxy), data["changeset_revision"])
        if record and record["status"] != UNINSTALLED:
            raise GalaxyError(f"{repository} was to be uninstalled first, and its status is still {record['status']}")
    return _install(galaxy, repository, data)


def uninstall_record(galaxy: Galaxy, record: dict[str, Any]) -> None:
    """Uninstall the revision that Galaxy's `record` is of, and make sure that it is."""
    route = f"tool_shed_repositories/{record['id']}"
    try:
        galaxy.request("DELETE", route, patience=0)
    except GalaxyError as error:        # a lost answer says nothing: Galaxy's record does
        if error.exit_code != TRY_LATER:
            raise
        after = galaxy.get_or_none(route)
        if after and after["status"] != UNINSTALLED:
            galaxy.delete(route)
    after = galaxy.get_or_none(route)
    if after and after["status"] != UNINSTALLED:
        raise GalaxyError(f"{record['owner']}/{record['name']}, revision {record['changeset_revision']}, was to be "
                          f"uninstalled, and its status is still {after['status']}")


def find_panel_section(galaxy: Galaxy, record: dict[str, Any]) -> str:
    """The id of the tool panel's section that has the tools of an installed repository, "" if no section has."""
    for tool in galaxy.get("tools", {"in_panel": "false"}):
        origin = tool.get("tool_shed_repository") or {}
        if all(origin.get(name) == record[name] for name in ("tool_shed", "owner", "name", "changeset_revision")):
            return tool.get("panel_section_id") or ""
    return ""


def installation_payload(galaxy: Galaxy, repository: Repository, revision: str, section: str) -> dict[str, Any]:
    """The payload that installs `revision`, with the tools in the panel's `section` unless that is "".

    Raises `GalaxyError` if the panel lacks the section: Galaxy would put the tools outside of all, and not say so.
    """
    data = {"tool_shed_url": repository.shed.base, **repository.query, "changeset_revision": revision}
    if not section:
        return data
    ids = [item["id"] for item in galaxy.get("tools") if item.get("model_class") == "ToolSection"]
    if section.removeprefix("section_") not in ids:     # Galaxy takes both forms
        raise GalaxyError(f"the tool panel has no section with the id {section!r}, only {', '.join(ids) or 'none'}; "
                          "install_tool_shed_repositories.py --panel-section-name=NAME creates one")
    return {**data, "tool_panel_section_id": section}


INSTALL_ROUTE = "tool_shed_repositories/new/install_repository_revision"


def _install(galaxy: Galaxy, repository: Repository, data: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        answer = galaxy.post(INSTALL_ROUTE, data)
        if isinstance(answer, str):
            raise GalaxyError(f"{repository}: POST {INSTALL_ROUTE}: the answer is a text: {MAY_HAVE_ACTED}", lost=True)
    except GalaxyError as error:
        if error.lost:
            answer = _wait_for_installation(galaxy, repository, data["changeset_revision"])
        elif error.status == 400 and data["changeset_revision"] not in (offered := repository.revisions()):
            raise GalaxyError(f"{repository} has no revision {data['changeset_revision']} that can be installed, only "
                              f"{', '.join(offered)}", status=400) from None
        elif error.status == 500 and "Uncaught exception" in str(error):
            # 26.1 does not say what it lacks.
            raise GalaxyError(f"{error}; it may lack a writable shed_tool_config_file, which its administrators "
                              "set (galaxy.yml)", status=500) from None
        else:
            raise
    records = answer if isinstance(answer, list) else []
    failed = [record for record in records if record["status"] != INSTALLED]
    if failed:
        raise GalaxyError("; ".join(f"{record['owner']}/{record['name']} is not installed but {record['status']}: "
                                    f"{record['error_message'] or 'Galaxy does not say why'}" for record in failed))
    if isinstance(answer, dict) and answer.get("status") == "error":
        raise GalaxyError(f"{repository} is not installed: {answer.get('error')}")
    return records


def _wait_for_installation(galaxy: Galaxy, repository: Repository, revision: str) -> list[dict[str, Any]]:
    """The record of an installation whose answer was lost, when it has ended."""
    for _ in galaxy.poll(INSTALL_TIMEOUT):
        record = find_record(repository.records(galaxy), revision)
        if not record:
            raise GalaxyError(f"{repository}: the request to install it was lost: repeat the command", TRY_LATER)
        if record["status"] in (INSTALLED, UNINSTALLED, ERROR):
            return [record]
    raise GalaxyError(f"{repository} is still being installed after {INSTALL_TIMEOUT} s", STILL_RUNNING)


def find_record(records: list[dict[str, Any]], revision: str) -> dict[str, Any] | None:
    """The record of the current revision `revision`, else of the one first installed as `revision`, else None."""
    for field in ("changeset_revision", "installed_changeset_revision"):
        for record in records:
            if record[field] == revision:
                return record
    return None


def shed_host(url: str) -> str:
    """A Tool Shed's address as in Galaxy's records: without scheme, password and final slash."""
    return url.split("://", 1)[-1].rpartition("@")[2].rstrip("/")


# ------------------------------------------------------------------------------------------------- publishing

def publish_repository(key: str, url: str, email: str, *folders: Path) -> None:
    """Publish the repository in each of the `folders`, with those revisions that it lacks, in the Tool Shed at `url`.

    A folder has a `.shed.yml`, as Planemo reads it, and a folder for each revision, in the order of their names; `$toolshed`
    in a workflow becomes the Tool Shed's host. The owner is created, with the address `email`, by the administrator's `key`.
    """
    import yaml
    administrator = Galaxy(key, url)
    sheds: dict[str, Galaxy] = {}       # asked with the key of each owner
    for folder in folders:
        about = yaml.safe_load((folder / ".shed.yml").read_text("utf-8"))
        if about["owner"] not in sheds:
            user = _find_by_field(administrator.get("users"), "username", about["owner"]) or administrator.post(
                "users", {"email": email, "username": about["owner"], "password": secrets.token_urlsafe(16)})
            sheds[about["owner"]] = Galaxy(administrator.get(f"users/{user['id']}/api_key"), url)
        _publish(administrator, sheds[about["owner"]], folder, about)


def _publish(administrator: Galaxy, shed: Galaxy, folder: Path, about: dict[str, Any]) -> None:
    query = {"owner": about["owner"], "name": about["name"]}
    categories = [_find_by_field(shed.get("categories"), "name", one) or administrator.post("categories", {"name": one})
                  for one in about["categories"]]
    repository = _find_by_field(shed.get("repositories", query), "name", about["name"]) or shed.post(
        "repositories", {"name": about["name"], "synopsis": about["description"], "description": about["long_description"],
                         "type": "unrestricted", "category_ids[]": [one["id"] for one in categories]})
    published = shed.get("repositories/get_ordered_installable_revisions", query)
    for revision in sorted(path for path in folder.iterdir() if path.is_dir())[len(published):]:
        shed.request("POST", f"repositories/{repository['id']}/changeset_revision",
                     params={"commit_message": revision.name},
                     files={"file": (f"{revision.name}.tar.gz", _archive(revision, shed_host(shed.base)))})


def _find_by_field(things: list[dict[str, Any]], field: str, name: str) -> dict[str, Any] | None:
    return next((thing for thing in things if thing[field] == name), None)


def _archive(folder: Path, host: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            if path.suffix == ".ga":
                content = content.replace(b"$toolshed", host.encode())
            info = tarfile.TarInfo(path.name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
