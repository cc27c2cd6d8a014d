"""What is to be done so that repositories are installed: found out with GETs alone, from Galaxy and the Tool Sheds."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.tools.repository_list import DEPENDENCY_KEYS, Target
from galaxy_api_scripts.tools.toolshed import (
    DEACTIVATED,
    ERROR,
    INSTALLED,
    LOOKS_AT_ONCE,
    UNINSTALLED,
    Key,
    Repository,
    find_record,
    get_list,
    known_sheds,
    require_known_shed,
)
from galaxy_api_scripts.transfers import UP, TransferPool

MAIN_SHED = "toolshed.g2.bx.psu.edu"
NEW = "New"     # the status of a record before its installation begins
INSTALL, REPAIR, WAIT = "install", "repair", "wait"
DEFAULTS = dict(zip(DEPENDENCY_KEYS, (True, True, False)))      # as ephemeris has them


@dataclass
class Job:
    """A revision to install: `record` is Galaxy's record of it, None where there is none; `action` what is to be done,
    `data` the body of the request that installs it. Others at work do not matter to it unless it `needs_others`: it installs
    repositories that others may need too. `tools` are the ids of its tools in the tool panel."""

    repository: Repository
    revision: str
    target: Target
    record: dict[str, Any] | None
    action: str
    data: dict[str, Any] = field(default_factory=dict)
    needs_others: bool = False
    tools: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.repository}, revision {self.revision}"

    def row(self, record: dict[str, Any] | None = None) -> dict[str, Any]:
        """What is printed of it, or of a repository that was installed because this one needs it."""
        record = record or self.record or {}
        return {"action": INSTALL if self.action == WAIT and record.get("status") == INSTALLED else self.action,
                "owner": record.get("owner") or self.repository.owner, "name": record.get("name") or self.repository.name,
                "revision": record.get("changeset_revision") or self.revision,
                "section": self.target.label or self.target.section or None, "status": record.get("status"),
                "id": record.get("id"), "tool_shed": self.repository.host}

    def failure(self, record: dict[str, Any]) -> GalaxyError:
        """The error for what Galaxy could not install: this one, or the one of `record`, which it needs."""
        is_own = record.get("name") in (None, self.repository.name)
        name = str(self) if is_own else f"{self}: {record['owner']}/{record['name']}, which it needs,"
        return GalaxyError(f"{name} is not installed but {record.get('status') or 'missing'}: "
                           f"{record.get('error_message') or 'Galaxy does not say why'}; --repair installs it again")


class InstallPlan:
    """The `jobs` that targets need, and the `problems` of those that can't be installed. What is installed needs nothing,
    and a revision that is named and installed no look into its Tool Shed.

    `chosen` are dependencies that the command line chooses, over the lists. Without `repair` what is in state Error is a
    problem. Raises `GalaxyError` if the key is no administrator's, or Galaxy does not know a Tool Shed.
    """

    def __init__(self, galaxy: Galaxy, targets: Iterable[Target], repair: bool = False,
                 chosen: dict[str, bool] | None = None):
        self.galaxy, self.repair, self.chosen = galaxy, repair, chosen or {}
        galaxy.require_admin("installing tools")
        self.sheds = known_sheds(galaxy)
        self.records: dict[Key, list[dict[str, Any]]] = {}
        for record in get_list(galaxy, "tool_shed_repositories"):
            self.records.setdefault((record["tool_shed"], record["owner"], record["name"]), []).append(record)
        self.installed = [str(record["id"]) for records in self.records.values() for record in records
                          if record["status"] == INSTALLED]
        self.sections: dict[str, str] = {}      # ids of the tool panel's sections by label, and by id
        self.problems: list[tuple[Target, GalaxyError]] = []
        self.done: list[Job] = []       # for who does the jobs
        self.jobs = self._plan(targets)

    def _plan(self, targets: Iterable[Target]) -> list[Job]:
        default = MAIN_SHED if MAIN_SHED in self.sheds or len(self.sheds) != 1 else next(iter(self.sheds))
        wanted: dict[Key, list[Target]] = {}
        for target in targets:
            key = target.shed or default, target.owner, target.name
            record = find_record(self.records.get(key, []), target.revision) if target.revision else None
            if not record or record["status"] != INSTALLED:
                wanted.setdefault(key, []).append(target)
        for host, _, _ in wanted:
            require_known_shed(self.galaxy, host, self.sheds)
        found = dict(self._look_up(wanted))
        jobs: dict[tuple[str, str], Job] = {}
        for key in wanted:      # in the order of the lists
            for job in found[key]:
                jobs.setdefault((str(job.repository), job.revision), job)
        if jobs:
            sections = [item for item in get_list(self.galaxy, "tools", {"in_panel": "true"})
                        if item.get("model_class") == "ToolSection"]
            self.sections = {**{one["name"]: one["id"] for one in reversed(sections)}, **{one["id"]: "" for one in sections}}
        return [job for job in jobs.values() if self._complete(job)]

    def _look_up(self, wanted: dict[Key, list[Target]]) -> Iterator[tuple[Key, list[Job]]]:
        """For each repository the jobs that its targets need."""
        def look(key: Key) -> list[Job | None | GalaxyError]:
            repository = Repository(self.sheds[key[0]], *key[1:])
            offered, outcomes = repository.revisions(), list[Any]()
            for target in wanted[key]:
                try:
                    outcomes.append(self._job(repository, offered, target))
                except GalaxyError as error:
                    outcomes.append(error)
            return outcomes

        with TransferPool(LOOKS_AT_ONCE, UP) as pool:
            for key, outcome in pool.run_each(look, list(wanted)):
                if isinstance(outcome, Exception) and not isinstance(outcome, GalaxyError):
                    raise outcome
                outcomes = [outcome] * len(wanted[key]) if isinstance(outcome, GalaxyError) else outcome
                self.problems += [(target, one) for target, one in zip(wanted[key], outcomes)
                                  if isinstance(one, GalaxyError)]
                yield key, [one for one in outcomes if isinstance(one, Job)]

    def _job(self, repository: Repository, offered: list[str], target: Target) -> Job | None:
        if target.tool:
            revision = repository.revision_with_tool(target.tool)
        else:
            revision = repository.installable_revision(target.revision, offered) if target.revision else offered[-1]
        records = self.records.get((repository.host, repository.owner, repository.name), [])
        record = find_record(records, revision)
        status = record["status"] if record else UNINSTALLED
        if status == INSTALLED:
            return None
        action = {UNINSTALLED: INSTALL, NEW: INSTALL, DEACTIVATED: INSTALL, ERROR: REPAIR}.get(status, WAIT)
        about = repository.metadata(revision)
        tools = [tool["guid"] for tool in about.get("valid_tools") or []
                 if tool.get("add_to_tool_panel", True) and tool.get("tool_type", "default") == "default"]
        return Job(repository, revision, target, record, action, tools=tuple(tools),
                   needs_others=bool(about.get("has_repository_dependencies")))

    def _complete(self, job: Job) -> bool:
        """Give the job its request, unless it has a problem; whether it can be done."""
        section, label = job.target.section, job.target.label
        if job.action == REPAIR and not self.repair:
            self.problems.append((job.target, job.failure(job.record or {})))
            return False
        if section and not label and section.removeprefix("section_") not in self.sections:
            # Galaxy would put the tools outside of all sections, and not say so.
            known = ", ".join(name for name, value in self.sections.items() if not value)
            self.problems.append((job.target, GalaxyError(
                f"{job}: the tool panel has no section with the id {section!r}, only {known or 'none'}; "
                "tool_panel_section_label makes one")))
            return False
        options = {**DEFAULTS, **job.target.options, **self.chosen}
        job.needs_others = job.needs_others and options["install_repository_dependencies"]
        place = self.sections.get(label) or section if label else section
        job.data = {"tool_shed_url": job.repository.shed.base, **job.repository.query, "changeset_revision": job.revision,
                    **options, **({"tool_panel_section_id": place} if place else
                                  {"new_tool_panel_section_label": label} if label else {})}
        return True
