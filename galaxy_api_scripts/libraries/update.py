"""Names and descriptions of data libraries, their folders and datasets: compared, changed, read back."""
from __future__ import annotations

import re
from typing import Any

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.libraries.permissions import DATASET, FOLDER, LIBRARY, ROUTES, SETTLE_SECONDS, Item

# {kind of item: {what is changed: the field of it}} in the answers and requests of 24.1 to 26.1
TEXT_FIELDS = {LIBRARY: {"name": "name", "description": "description", "synopsis": "synopsis"},
               FOLDER: {"name": "name", "description": "description"},
               DATASET: {"name": "name", "description": "message"}}
METHODS = {LIBRARY: "PATCH", FOLDER: "PUT", DATASET: "PATCH"}       # other methods change nothing, or are not there
ESCAPED = re.compile("[&<>]")       # Galaxy 26.1 keeps &amp; for & in a dataset's texts

Texts = dict[str, tuple[str, str]]      # {what is changed: (what it is, what it becomes)}


def fetch_item(galaxy: Galaxy, item: Item) -> dict[str, Any]:
    """Galaxy's description of an item."""
    return dict(galaxy.get(f"{ROUTES[item.kind]}/{item.id}"))


def compare_texts(item: Item, about: dict[str, Any], wanted: dict[str, str]) -> Texts:
    """Those of the `wanted` texts that differ from the item's own, which `about` describes. Raises `GalaxyError` for one
    that an item of this kind does not have, or that Galaxy would keep as another one."""
    fields = TEXT_FIELDS[item.kind]
    unknown = [name for name in wanted if name not in fields]
    if unknown:
        raise GalaxyError(f"--{unknown[0]}: a {item.kind} has none, only {', '.join(fields)}", USAGE)
    if item.kind != LIBRARY and "/" in wanted.get("name", ""):
        raise GalaxyError(f"--name={wanted['name']}: expected a name without /, which stands between names", USAGE)
    changed = {name: (str(about.get(fields[name]) or ""), text) for name, text in wanted.items()
               if (about.get(fields[name]) or "") != text}
    for name, (_, text) in changed.items():
        if item.kind == DATASET and ESCAPED.search(text):
            raise GalaxyError(f"--{name}={text}: Galaxy would keep &, < and > in it as &amp;, &lt; and &gt;: leave them out",
                              USAGE)
    return changed


def require_modifiable(galaxy: Galaxy, item: Item, about: dict[str, Any]) -> None:
    """Raise `GalaxyError` if the key's user may not change an item, which `about` describes."""
    may = galaxy.get(f"folders/{item.id}/contents", {"limit": 1})["metadata"]["can_modify_folder"] if item.kind == FOLDER \
        else about.get("can_user_modify")
    if may is False:
        raise GalaxyError(f"{item} ({item.id}): this key's user may not change it: who manages it can permit that by "
                          "library_permissions.py modify+=", status=403)


def change_texts(galaxy: Galaxy, item: Item, texts: Texts) -> dict[str, Any]:
    """Change an item's texts; return Galaxy's description of it, read back. Raises `GalaxyError` if that is another one."""
    fields = TEXT_FIELDS[item.kind]
    body = {fields[name]: new for name, (_, new) in texts.items()}
    galaxy.call(METHODS[item.kind], f"{ROUTES[item.kind]}/{item.id}", body)
    for _ in galaxy.poll(SETTLE_SECONDS):
        about = fetch_item(galaxy, item)
        wrong = [name for name, (_, new) in texts.items() if (about.get(fields[name]) or "") != new]
        if not wrong:
            return about
    name = wrong[0]
    raise GalaxyError(f"{item} ({item.id}): Galaxy answered that its {name} is changed to {texts[name][1]!r}, and it is "
                      f"{about.get(fields[name])!r}")
