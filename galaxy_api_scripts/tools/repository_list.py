"""Lists of Tool Shed repositories: YAML files as ephemeris reads and writes them, and names on a command line."""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import USAGE, GalaxyError, bool_option, did_you_mean, read_text, shorten
from galaxy_api_scripts.tools.toolshed import shed_host
from galaxy_api_scripts.yaml_files import load_yaml

DEPENDENCY_KEYS = ("install_repository_dependencies", "install_resolver_dependencies", "install_tool_dependencies")
SECTION_KEYS = {"tool_panel_section_label", "tool_panel_section_id"}
DEFAULT_KEYS = ("tool_shed_url", *sorted(SECTION_KEYS), *DEPENDENCY_KEYS)
ENTRY_KEYS = ("name", "owner", "revisions", "changeset_revision", *DEFAULT_KEYS)
NO_VALUE = ("", "~", "null", "None")        # ephemeris writes `None` for what has no section
REVISION = "[0-9a-f]{12}"
# OWNER/NAME, OWNER/NAME/REVISION, these behind HOST/repos/, and a tool's id, HOST/repos/OWNER/NAME/TOOL/VERSION.
NAME_FORM = re.compile(rf"(?:(?P<shed>\S+?)/repos/)?(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)"
                       rf"(?:/(?P<revision>{REVISION})|(?P<tool>/[^/\s]+/[^/\s]+))?/?")


@dataclass(frozen=True)
class Target:
    """A revision of a repository that a list names, "" for the latest one or, if `tool` is the id of one of its tools, for
    the latest that has it; `shed` is the Tool Shed's host, "" for the default one; `where` names it in messages.

    The section of the tool panel is named by its label or its id; `options` are the list's `DEPENDENCY_KEYS`.
    """

    owner: str
    name: str
    revision: str = ""
    shed: str = ""
    tool: str = ""
    label: str = ""
    section: str = ""
    options: dict[str, bool] = field(default_factory=dict, compare=False)
    where: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}{f'/{self.revision}' if self.revision else ''}"


def join_targets(targets: Iterable[Target]) -> list[Target]:
    """The targets, each revision of a repository once: the first line about it counts."""
    joined: dict[tuple[str, ...], Target] = {}
    for one in targets:
        joined.setdefault((one.shed, one.owner, one.name, one.revision, one.tool), one)
    return list(joined.values())


def read_targets(words: Iterable[str], argument: str) -> list[Target]:
    """What the words of a command line name: files (`-`: standard input) with lists, repositories, and Tool Shed tools.

    Raises a usage error for a word, a file or an entry that names nothing; `argument` is the words' name in it.
    """
    targets = []
    for word in words:
        if word == "-" or os.path.isfile(word) or re.search(r"\.(ya?ml|lock)$", word):
            targets += parse_list(read_text(word), "standard input" if word == "-" else word)
        else:
            targets.append(parse_name(word, argument))
    return join_targets(targets)


def parse_name(text: str, argument: str) -> Target:
    """The repository that `text` names (`NAME_FORM`); a usage error for any other text."""
    match = NAME_FORM.fullmatch(text.strip())
    if not match or (match["tool"] and not match["shed"]):
        raise GalaxyError(f"{argument}: {shorten(text, 60)!r} is neither a file nor OWNER/NAME, OWNER/NAME/REVISION, or a "
                          "Tool Shed tool's id", USAGE)
    return Target(match["owner"], match["name"], match["revision"] or "", shed_host(match["shed"] or ""),
                  shed_host(text.strip().rstrip("/")) if match["tool"] else "", where=text)


def tool_target(tool_id: str, repository: dict[str, Any], where: str) -> Target | None:
    """The repository of a workflow's tool, with the revision that the workflow names, else the one that has the tool; None
    for a tool that is of no Tool Shed."""
    match = NAME_FORM.fullmatch(tool_id)
    if not match or not match["tool"] or not match["shed"]:
        return None
    revision = str(repository.get("changeset_revision") or "")
    return Target(match["owner"], match["name"], revision if re.fullmatch(REVISION, revision) else "",
                  shed_host(match["shed"]), "" if re.fullmatch(REVISION, revision) else tool_id, where=where)


# ---------------------------------------------------------------------------------------------------------- a YAML file

def parse_list(text: str, where: str) -> list[Target]:
    """The targets of a list's text; a usage error that names `where` and the entry for what is no list.

    All values are read as the texts that they are, so that a revision of digits alone is no number.
    """
    content = load_yaml(text, where, as_texts=True)
    if isinstance(content, dict) and content.keys() & {"a_galaxy_workflow", "steps", "$graph"}:
        raise GalaxyError(f"{where}: it is a workflow: --workflow={where} takes the tools of one", USAGE)
    if not isinstance(content, dict) or not isinstance(content.get("tools"), list):
        raise GalaxyError(f"{where}: no list of tools: expected `tools:`, and below it an entry `- name: ...` with an "
                          "`owner:` for each repository", USAGE)
    check_keys(content, ("tools", *DEFAULT_KEYS), where)
    targets: list[Target] = []
    for number, entry in enumerate(content["tools"], 1):
        place = f"{where}, entry {number}"
        if not isinstance(entry, dict):
            raise GalaxyError(f"{place}: expected `name:` and `owner:`, not {shorten(str(entry), 40)!r}", USAGE)
        place += f" ({shorten(str(entry['name']), 40)})" if isinstance(entry.get("name"), str) else ""
        check_keys(entry, ENTRY_KEYS, place)
        own = {key: value for key, value in entry.items() if value not in NO_VALUE}
        defaults = {key: value for key, value in content.items() if not (key in SECTION_KEYS and own.keys() & SECTION_KEYS)}
        targets += _entry_targets({**defaults, **own}, place)
    return targets


def _entry_targets(entry: dict[str, Any], place: str) -> Iterator[Target]:
    texts = {key: _text(entry, key, place) for key in ENTRY_KEYS if key != "revisions"}
    for key in ("name", "owner"):
        if not re.fullmatch(r"[\w.-]+", texts[key]):
            problem = f"{texts[key]!r} is no {key} in a Tool Shed" if texts[key] else f"it has no {key}"
            raise GalaxyError(f"{place}: {problem}", USAGE)
    revisions = entry.get("revisions") or []
    revisions = [revisions] if isinstance(revisions, str) else revisions
    if not isinstance(revisions, list):
        raise GalaxyError(f"{place}: revisions: expected a list", USAGE)
    revisions = [revision for revision in [*revisions, texts["changeset_revision"]] if revision not in NO_VALUE]
    for revision in revisions:
        if not isinstance(revision, str) or not re.fullmatch(REVISION, revision):
            raise GalaxyError(f"{place}: {shorten(str(revision), 40)!r} is no revision, which has 12 hexadecimal digits",
                              USAGE)
    options = {key: bool_option(texts[key], f"{place}: {key}") for key in DEPENDENCY_KEYS if texts[key]}
    for revision in revisions or [""]:
        yield Target(texts["owner"], texts["name"], revision, shed_host(texts["tool_shed_url"]), "",
                     texts["tool_panel_section_label"], texts["tool_panel_section_id"], options, place)


def _text(entry: dict[str, Any], key: str, place: str) -> str:
    value = entry.get(key) or ""
    if not isinstance(value, str):
        raise GalaxyError(f"{place}: {key}: expected one value", USAGE)
    return "" if value in NO_VALUE else value.strip()


def check_keys(content: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise a usage error for a key that is not `known`, with the nearest one."""
    for key in content:
        if key in ("api_key", "galaxy_instance"):       # old lists of ephemeris have them
            raise GalaxyError(f"{where}: {key} is not read here: KEY and URL are the first arguments; take it out", USAGE)
        if key not in known:
            near = did_you_mean(str(key), known) or f": known are {', '.join(known)}"
            raise GalaxyError(f"{where}: unknown key {shorten(str(key), 40)!r}{near}", USAGE)


def dump_list(records: Iterable[dict[str, Any]], sections: Callable[[dict[str, Any]], str],
              urls: dict[str, str]) -> str:
    """A list, as YAML, of Galaxy's records of installed repositories. `sections(record)` is the label of the section of the
    tool panel that has its tools, "" for none; `urls` has the Tool Sheds' addresses by host."""
    import yaml
    entries: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in records:
        label = sections(record)
        entry = entries.setdefault((record["tool_shed"], record["owner"], record["name"], label), {
            "name": record["name"], "owner": record["owner"], "revisions": [],
            **({"tool_panel_section_label": label} if label else {}),
            "tool_shed_url": urls.get(record["tool_shed"], record["tool_shed"])})
        entry["revisions"].append(record["changeset_revision"])
    return str(yaml.safe_dump({"tools": [*entries.values()]}, sort_keys=False, allow_unicode=True, default_flow_style=False))
