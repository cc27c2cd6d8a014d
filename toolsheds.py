"""Tool Sheds: which revisions of a repository they offer, what of it Galaxy has installed, and a repository of one's own.

A repository is named by its Tool Shed's address, its owner, its name and one of its revisions, 12 hexadecimal digits.
"""
from __future__ import annotations

import io
import secrets
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common import Galaxy

# ------------------------------------------------------------------------------------------------ one of one's own

def publish(key: str, url: str, email: str, folder: Path) -> None:
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
                     files={"file": (f"{revision.name}.tar.gz", _archive(revision, urlsplit(url).netloc))})


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
