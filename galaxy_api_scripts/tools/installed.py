"""What is installed in Galaxy from Tool Sheds: which revisions, in which sections of the tool panel, which are old."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError, did_you_mean, report_error, show
from galaxy_api_scripts.tools.repository_list import Target
from galaxy_api_scripts.tools.toolshed import (
    DEACTIVATED,
    ERROR,
    INSTALLED,
    LOOKS_AT_ONCE,
    UNINSTALLED,
    Key,
    Repository,
    get_list,
    known_sheds,
    uninstall_record,
)
from galaxy_api_scripts.transfers import UP, TransferPool

ENDED = (INSTALLED, DEACTIVATED, UNINSTALLED, ERROR)
Record = dict[str, Any]


def key_of(record: Record) -> Key:
    return record["tool_shed"], record["owner"], record["name"]


class Installed:
    """The installed repositories of a Galaxy, or those of other `statuses`: `repositories` has Galaxy's records of their
    revisions by host, owner and name, in the order of these; `sheds` the Tool Sheds' addresses by host."""

    def __init__(self, galaxy: Galaxy, statuses: Iterable[str] = (INSTALLED,)):
        self.galaxy, self.sheds = galaxy, known_sheds(galaxy)
        self.records = get_list(galaxy, "tool_shed_repositories")
        self.repositories: dict[Key, list[Record]] = {}
        for record in sorted(self.records, key=lambda one: (*key_of(one), int(one.get("ctx_rev") or 0))):
            if record["status"] in statuses:
                self.repositories.setdefault(key_of(record), []).append(record)

    def sections(self) -> dict[tuple[str, ...], str]:
        """The label of the tool panel's section by host, owner, name and revision of an installed repository."""
        sections = dict[tuple[str, ...], str]()
        for tool in get_list(self.galaxy, "tools", {"in_panel": "false"}):
            origin = tool.get("tool_shed_repository") or {}
            if origin and tool.get("panel_section_name"):
                sections[(*key_of(origin), origin["changeset_revision"])] = str(tool["panel_section_name"])
        return sections

    def select(self, targets: Iterable[Target]) -> dict[Key, list[Record]]:
        """The records of what is installed of the targets: of one without a revision all. Raises `GalaxyError` for one that
        is installed from several Tool Sheds and names none."""
        selected: dict[Key, list[Record]] = {}
        for target in targets:
            keys = [key for key in self.repositories if key[1:] == (target.owner, target.name)
                    and target.shed in ("", key[0])]
            if len(keys) > 1:
                raise GalaxyError(f"{target} is installed from {' and '.join(key[0] for key in keys)}: give "
                                  "HOST/repos/OWNER/NAME")
            for key in keys:
                selected.setdefault(key, [])
                selected[key] += [record for record in self.repositories[key] if record not in selected[key]
                                  and target.revision in ("", record["changeset_revision"],
                                                          record["installed_changeset_revision"])]
        return {key: records for key, records in selected.items() if records}

    def require_known(self, targets: Iterable[Target], words: Iterable[str], is_gone_known: bool = False) -> None:
        """Raise `GalaxyError` for one of the targets that the `words` of a command line name, and that is not among the
        repositories; nor, if `is_gone_known`, was ever installed."""
        known = self.records if is_gone_known else [one for records in self.repositories.values() for one in records]
        words, lack = list(words), "has never had" if is_gone_known else "has not installed"
        for target in targets:
            if target.where in words and not any(_is_of(record, target) for record in known):
                names = [f"{one['owner']}/{one['name']}" + f"/{one['changeset_revision']}" * bool(target.revision)
                         for one in known]
                raise GalaxyError(f"{self.galaxy.base} {lack} the repository {target}"
                                  f"{did_you_mean(str(target), names) or ': tool_installed.py lists what it has'}")

    def unsettled(self, targets: Iterable[Target]) -> Iterator[GalaxyError]:
        """An error for each revision of the targets that Galaxy is still installing."""
        targets = list(targets)
        for record in self.records:
            if record["status"] not in ENDED and any(_is_of(record, target) for target in targets):
                yield GalaxyError(f"{record['owner']}/{record['name']}, revision {record['changeset_revision']}, is being "
                                  f"installed (its status is {record['status']}): try again later; if the status does not "
                                  "change, tool_install.py --repair installs it again", TRY_LATER)

    def superseded(self, latest: dict[Key, str]) -> Iterator[list[Record] | GalaxyError]:
        """For each of the repositories of which another revision than the `latest` is installed, too, the records of those,
        or an error where Galaxy has not loaded the tools of the latest one."""
        others = {key: [record for record in self.repositories[key] if record["changeset_revision"] != revision]
                  for key, revision in latest.items()}
        tools = get_list(self.galaxy, "tools", {"in_panel": "false"}) if any(others.values()) else []
        origins = [tool.get("tool_shed_repository") for tool in tools]
        loaded = {(*key_of(origin), origin["changeset_revision"]) for origin in origins if origin}
        for key, records in others.items():
            if records and (*key, latest[key]) not in loaded and any(one[:3] == key for one in loaded):
                yield GalaxyError(f"{'/'.join(key[1:])}: the older revisions stay, since Galaxy has loaded none of the "
                                  f"tools of the latest one, {latest[key]}")
            elif records:
                yield records

    def outdated(self, keys: Iterable[Key]) -> Iterator[tuple[Key, dict[str, str] | GalaxyError]]:
        """For each of the repositories the newest revision that is `installed` and the `latest` of its Tool Shed, which may
        be the same, or the error of its Tool Shed."""
        def look(key: Key) -> dict[str, str]:
            if key[0] not in self.sheds:
                raise GalaxyError(f"{'/'.join(key)}: Galaxy no longer knows this Tool Shed")
            offered = Repository(self.sheds[key[0]], *key[1:]).revisions()
            revisions = [record["changeset_revision"] for record in self.repositories[key]]
            if offered[-1] in revisions:
                return {"installed": offered[-1], "latest": offered[-1]}
            ordered = [revision for revision in offered if revision in revisions]
            return {"installed": (ordered or revisions)[-1], "latest": offered[-1]}

        with TransferPool(LOOKS_AT_ONCE, UP) as pool:
            for key, outcome in pool.run_each(look, list(keys)):
                if isinstance(outcome, Exception) and not isinstance(outcome, GalaxyError):
                    raise outcome
                yield key, outcome


def print_found(rows: Iterable[Record], output: dict[str, Any], columns: list[str]) -> None:
    """Print what was changed, row by row if the format allows it; nothing, not even a heading, for a table of nothing."""
    if output["format"] not in ("json", "jsonl", "csv", "tsv", "value"):
        rows = list(rows)
        if not rows:
            return
    show(rows, output["format"], output["fields"] or columns)


def _is_of(record: Record, target: Target) -> bool:
    return ((record["owner"], record["name"]) == (target.owner, target.name) and target.shed in ("", record["tool_shed"])
            and target.revision in ("", record["changeset_revision"], record["installed_changeset_revision"]))


def uninstall_row(record: Record, section: str | None = None) -> Record:
    """What is printed of a revision that is, or was, uninstalled."""
    kept = {name: record[name] for name in ("status", "id", "tool_shed")}
    return {"action": "uninstall", "owner": record["owner"], "name": record["name"],
            "revision": record["changeset_revision"], "section": section, **kept}


def uninstall_each(galaxy: Galaxy, records: Iterable[Record], codes: list[int]) -> Iterator[Record]:
    """Yield each of Galaxy's records once its revision is uninstalled, one after the other. One that can't be is reported,
    and its exit code added to `codes`."""
    for record in records:
        try:
            uninstall_record(galaxy, record)
        except GalaxyError as error:
            codes.append(report_error(str(error), error.exit_code))
        else:
            yield {**record, "status": UNINSTALLED}
