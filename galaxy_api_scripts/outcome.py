"""What a run has changed, shown however it ends, and what it could not do."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, GalaxyError, report_error, show


class Outcome:
    """The `rows` of things that were changed, or in a `dry_run` would be: printed when the `with` block ends, if there are
    any, also if an error or Ctrl-C ends it. What could not be done is reported at once, and counted in `failures`."""

    def __init__(self, output: dict[str, Any], fields: Sequence[str], dry_run: bool):
        self.output, self.fields, self.dry_run = output, fields, dry_run
        self.rows: list[dict[str, Any]] = []
        self.failures = 0

    def change(self, label: str, row: dict[str, Any], act: Callable[[], object]) -> None:
        """Change one thing, unless in a dry run, and note its row. What Galaxy refuses is reported; raises what concerns the
        server (TRY_LATER)."""
        try:
            if not self.dry_run:
                act()
        except GalaxyError as error:
            if error.exit_code == TRY_LATER:
                raise
            self.fail(label, error)
        else:
            self.rows.append(row)

    def fail(self, label: str, problem: object) -> None:
        """Report what could not be done to one thing."""
        report_error(f"{label}: {problem}")
        self.failures += 1

    def status(self, total: int | None = None) -> int:
        """The exit status for `total` things, by default those that were changed and those that could not be."""
        total = len(self.rows) + self.failures if total is None else total
        return DONE if not self.failures else SOME_FAILED if self.failures < total else FAILED

    def __enter__(self) -> Outcome:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.rows or (self.output["format"] and not kind):
            show(self.rows, self.output["format"], self.output["fields"] or self.fields, changed=not self.dry_run)
