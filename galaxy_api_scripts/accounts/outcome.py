"""What a run has changed, shown however it ends, and what it could not do."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, GalaxyError, report_error, show


class Outcome:
    """The `rows` of things that were changed, or in a `dry_run` would be: printed when the `with` block ends, if there are
    any, also where an error or Ctrl-C ends it. `failed` are things that Galaxy refused to change, and why."""

    def __init__(self, output: dict[str, Any], fields: Sequence[str], dry_run: bool):
        self.output, self.fields, self.dry_run = output, fields, dry_run
        self.rows: list[dict[str, Any]] = []
        self.failed: list[tuple[str, GalaxyError]] = []

    def change(self, label: str, row: dict[str, Any], act: Callable[[], object]) -> None:
        """Change one thing, unless in a dry run, and note its row. What Galaxy refuses is noted; raises what concerns the
        server (TRY_LATER)."""
        try:
            if not self.dry_run:
                act()
        except GalaxyError as error:
            if error.exit_code == TRY_LATER:
                raise
            self.failed.append((label, error))
        else:
            self.rows.append(row)

    def status(self, total: int) -> int:
        """Report what failed of so many things, and return the exit status."""
        for label, error in self.failed:
            report_error(f"{label}: {error}")
        return DONE if not self.failed else SOME_FAILED if len(self.failed) < total else FAILED

    def __enter__(self) -> Outcome:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.rows or (self.output["format"] and not kind):
            show(self.rows, self.output["format"], self.output["fields"] or self.fields, changed=not self.dry_run)
