"""Tool Sheds: which revisions of a repository they offer, what of it Galaxy has installed, and a repository of one's own.

A repository is named by its Tool Shed's address, its owner, its name and one of its revisions, 12 hexadecimal digits.
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

from common import STILL_RUNNING, TRY_LATER, USAGE, Galaxy, GalaxyError, add_scheme

INSTALLED, DEACTIVATED, UNINSTALLED, ERROR = "Installed", "Deactivated", "Uninstalled", "Error"
LONGEST = 3600      # seconds to wait for an installation whose answer was lost, as proxies lose it after a minute
NEEDS_CONF = "it may lack a writable shed_tool_config_file, which its administrators set (galaxy.yml)"   # 26.1 says less


class Repository:
    """A repository by its Tool Shed's address `shed`, `owner` and `name`; messages call it `str()`."""

    def __init__(self, shed: str, owner: str, name: str):
        self.shed = Galaxy("anonymous", add_scheme(shed))
        for text, option in ((owner, "--owner"), (name, "--name")):
            if not re.fullmatch(r"[\w.-]+", text):
                raise GalaxyError(f"{option}={text}: no Tool Shed has such a name", USAGE)
        self.owner, self.name = owner, name
        self.query = {"owner": owner, "name": name}
        self.host = _host(self.shed.base)

    def __str__(self) -> str:
        return f"{self.host}/{self.owner}/{self.name}"

    def revisions(self) -> list[str]:
        """Those that the Tool Shed offers for installation, the latest last."""
        revisions: list[str] = self.shed.get("repositories/get_ordered_installable_revisions", self.query)
        if not revisions:
            raise GalaxyError(f"{self} has no revision that can be installed")
        return revisions

    def installed(self, galaxy: Galaxy) -> list[dict[str, Any]]:
        """What Galaxy knows of it, a record for each revision, the uninstalled ones too."""
        return [record for record in galaxy.get("tool_shed_repositories", self.query) if record["tool_shed"] == self.host]

    def record(self, galaxy: Galaxy, revision: str) -> dict[str, Any]:
        """What Galaxy knows of `revision`; refused where that was never installed."""
        records = self.installed(galaxy)
        found = _at(records, revision)
        if not found:
            known = ", ".join(record["changeset_revision"] for record in records) or "none"
            raise GalaxyError(
                f"{self}, revision {revision}, is not installed in {galaxy.base}; revisions of it are: {known}")
        return found

    def workflows(self, revision: str) -> Iterator[tuple[str, Any]]:
        """The path and the content of each workflow (`.ga`) in the repository.

        The Tool Shed's archives may be switched off (26.1, of its own), but not Mercurial's list of a folder.
        """
        folders = [""]
        pages = f"{self.shed.base}/repos/{self.owner}/{self.name}"
        while folders:
            content = self.shed.get(f"{pages}/json-manifest/{revision}{folders.pop()}")
            folders += ["/" + quote(folder["abspath"].strip("/")) for folder in content["directories"]]
            for file in content["files"]:
                if file["abspath"].endswith(".ga"):
                    yield file["abspath"], self.shed.get(f"{pages}/raw-file/{revision}/{quote(file['abspath'])}")


def require_registered(galaxy: Galaxy, repository: Repository) -> None:
    """Refuse a Tool Shed that Galaxy was not told of, which it would answer with an error of its own making."""
    known = [unquote(shed["url"]) for shed in galaxy.get("tool_shed")]
    if repository.host not in map(_host, known):
        raise GalaxyError(f"{galaxy.base} installs nothing from the Tool Shed {repository.shed.base}, only from "
                      f"{', '.join(known) or 'none'}: its administrators add others to tool_sheds_config_file (galaxy.yml)")


def find_installed(galaxy: Galaxy, repository: Repository, revision: str) -> dict[str, Any] | None:
    """Galaxy's record of `revision` where that is installed and in use."""
    known = _at(repository.installed(galaxy), revision)
    return known if known and known["status"] == INSTALLED else None


def install_revision(galaxy: Galaxy, repository: Repository, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Install `data["changeset_revision"]`, with the other fields of the request as they are in `data`.

    Returns Galaxy's records of what it installed, for what is not `find_installed`. (Galaxy says that it is also when
    it is deactivated, and then calls it installed without loading its tools; so that is uninstalled first. 26.1.)
    """
    known = _at(repository.installed(galaxy), data["changeset_revision"])
    if known and known["status"] in (DEACTIVATED, ERROR):
        galaxy.delete(f"tool_shed_repositories/{known['id']}")
    elif known and known["status"] != UNINSTALLED:
        raise GalaxyError(f"{repository} is being installed by someone (it is at: {known['status']}): try again later, and if "
                      "it stays so, repair_tool_shed_repository.py begins anew", TRY_LATER)
    return _install(galaxy, repository, data)


def reinstall_revision(galaxy: Galaxy, repository: Repository, revision: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Uninstall this revision and install it again, its tools in the same section of the panel."""
    known = repository.record(galaxy, revision)
    repository.revisions()      # while the Tool Shed is away nothing is uninstalled
    if known["status"] != UNINSTALLED:
        galaxy.delete(f"tool_shed_repositories/{known['id']}")
    return _install(galaxy, repository, data)


def find_panel_section(galaxy: Galaxy, record: dict[str, Any]) -> str:
    """The id of the section of the tool panel that an installed repository's tools are in; "" where it is none."""
    for tool in galaxy.get("tools", {"in_panel": "false"}):
        origin = tool.get("tool_shed_repository") or {}
        if all(origin.get(name) == record[name] for name in ("tool_shed", "owner", "name", "changeset_revision")):
            return tool.get("panel_section_id") or ""
    return ""


def require_section(galaxy: Galaxy, section: str) -> None:
    """Refuse a section that the tool panel lacks: Galaxy would put the tools outside of all, and not say so."""
    ids = [item["id"] for item in galaxy.get("tools") if item.get("model_class") == "ToolSection"]
    if section.removeprefix("section_") not in ids:     # Galaxy takes both forms
        raise GalaxyError(f"the tool panel has no section with the id {section}: there are {', '.join(ids) or 'none'}; "
                      "install_tool_shed_repositories.py --panel-section-name=NAME makes one")


def install_payload(repository: Repository, revision: str) -> dict[str, Any]:
    """The payload that asks Galaxy for an installation."""
    return {"tool_shed_url": repository.shed.base, **repository.query, "changeset_revision": revision}


INSTALL_ROUTE = "tool_shed_repositories/new/install_repository_revision"


def _install(galaxy: Galaxy, repository: Repository, data: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        answer = galaxy.post(INSTALL_ROUTE, data)
    except GalaxyError as error:
        if error.lost:
            answer = _look_up(galaxy, repository, data["changeset_revision"])
        elif error.status == 400 and data["changeset_revision"] not in (offered := repository.revisions()):
            raise GalaxyError(f"{repository} has no revision {data['changeset_revision']} that can be installed: there are "
                          f"{', '.join(offered)}", status=400) from None
        elif error.status == 500 and "Uncaught exception" in str(error):
            raise GalaxyError(f"{error}; {NEEDS_CONF}", status=500) from None
        else:
            raise
    records = answer if isinstance(answer, list) else []
    failed = [record for record in records if record["status"] != INSTALLED]
    if failed:
        raise GalaxyError("; ".join(f"{one['owner']}/{one['name']} is not installed but in state {one['status']}: "
                                f"{one['error_message'] or 'Galaxy does not say why'}" for one in failed))
    if isinstance(answer, dict) and answer.get("status") == "error":
        raise GalaxyError(f"{repository} is not installed: {answer.get('error')}")
    return records


def _look_up(galaxy: Galaxy, repository: Repository, revision: str) -> list[dict[str, Any]]:
    """The record of an installation whose answer was lost, once it has ended."""
    for _ in galaxy.poll(LONGEST):
        record = _at(repository.installed(galaxy), revision)
        if not record:
            raise GalaxyError(f"{repository}: the request to install it was lost: send it again", TRY_LATER)
        if record["status"] in (INSTALLED, UNINSTALLED, ERROR):
            return [record]
    raise GalaxyError(f"{repository} is still being installed after {LONGEST} s", STILL_RUNNING)


def _at(records: list[dict[str, Any]], revision: str) -> dict[str, Any] | None:
    """The record of that revision: as it is now, else as it was when it was first installed."""
    for field in ("changeset_revision", "installed_changeset_revision"):
        for record in records:
            if record[field] == revision:
                return record
    return None


def _host(url: str) -> str:
    """A Tool Shed's address as Galaxy writes it down: without a scheme, and without a slash at its end."""
    return url.split("://", 1)[-1].rstrip("/")


# ------------------------------------------------------------------------------------------------ one of one's own

def publish_repository(key: str, url: str, email: str, folder: Path) -> None:
    """See to it that the Tool Shed at `url` holds the repository in `folder`, and all its revisions.

    `folder` has a `.shed.yml`, as Planemo reads it, and a folder for each revision, in the order of their names;
    `$toolshed` in a workflow is the Tool Shed's host. Its owner is made, with the address `email`, by the right of the
    administrator's `key`.
    """
    import yaml
    about = yaml.safe_load((folder / ".shed.yml").read_text("utf-8"))
    name, owner = about["name"], about["owner"]
    administrator = Galaxy(key, url)
    user = _named(administrator.get("users"), "username", owner) or administrator.post(
        "users", {"email": email, "username": owner, "password": secrets.token_urlsafe(16)})
    shed = Galaxy(administrator.get(f"users/{user['id']}/api_key"), url)
    categories = [_named(shed.get("categories"), "name", one) or administrator.post("categories", {"name": one})
                  for one in about["categories"]]
    repository = _named(shed.get("repositories", {"owner": owner, "name": name}), "name", name) or shed.post(
        "repositories", {"name": name, "synopsis": about["description"], "description": about["long_description"],
                         "type": "unrestricted", "category_ids[]": [one["id"] for one in categories]})
    there = shed.get("repositories/get_ordered_installable_revisions", {"owner": owner, "name": name})
    for revision in sorted(path for path in folder.iterdir() if path.is_dir())[len(there):]:
        shed.request("POST", f"repositories/{repository['id']}/changeset_revision",
                     params={"commit_message": revision.name},
                     files={"file": (f"{revision.name}.tar.gz", _archive(revision, _host(url)))})


def _named(things: list[dict[str, Any]], field: str, name: str) -> dict[str, Any] | None:
    return next((thing for thing in things if thing[field] == name), None)


def _archive(folder: Path, host: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            if path.suffix == ".ga":
                content = content.replace(b"$toolshed", host.encode())
            about = tarfile.TarInfo(path.name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return buffer.getvalue()
