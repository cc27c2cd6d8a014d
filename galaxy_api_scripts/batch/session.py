"""What the scripts that run a workflow on many samples do alike: read their options, check the workflow, open the ledger."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, int_option, output_options
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.ledger_reader import read_lanes
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.summary import ROW_FIELDS
from galaxy_api_scripts.datasets.lanes import Lanes, parse_lanes, resume_lanes
from galaxy_api_scripts.datasets.references import parse_tag
from galaxy_api_scripts.datasets.target_history import name_with_key
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.invocations.invocation import parse_labels
from galaxy_api_scripts.progress import date_lines, enable_bars
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.sharing import parse_audience
from galaxy_api_scripts.together import limit_requests
from galaxy_api_scripts.transfers import transfers_option
from galaxy_api_scripts.workflows.lookup import check_user_and_workflow
from galaxy_api_scripts.workflows.run import (
    WorkflowCheck,
    check_workflow,
    invocation_options,
    parse_step_parameter,
)

MAX_ASKED = 20      # histories that are looked for on a server that may be a ledger's own


class BatchSession:
    """A command line of workflow_batch.py or folder_watch.py. Raises `GalaxyError` (USAGE) for a wrong option; Galaxy is
    asked by `check_workflow` first."""

    def __init__(self, args: dict[str, Any]):
        date_lines(args.get("SHEET") or args.get("FOLDER") or "")
        self.args, self.once, self.dry_run = args, args["--once"], args["--dry-run"]
        self.output = output_options(args, () if self.dry_run else ROW_FIELDS)
        self.output["format"] = self.output["format"] or "tsv"
        self.max_running, self.transfers = int_option(args, "--max-running", 1) or 1, limit_requests(transfers_option(args))
        self.labels = parse_labels(args["--outputs"])
        self.tags = [parse_tag(tag) for tag in args["--tag"]]
        self.share_with = [word.strip() for word in (args["--share-with"] or "").split(",") if word.strip()]
        if args["--share-with"] and not self.share_with:
            raise GalaxyError(f"--share-with={args['--share-with']}: names nobody", USAGE)
        parse_audience(self.share_with, "--share-with")
        self.retry = args["--retry"] or ("jobs" if args["--retry-failed"] else None)    # None: what has failed stays
        if self.retry not in (None, "jobs", "run"):
            raise GalaxyError(f"--retry={self.retry}: expected jobs or run", USAGE)
        self.lanes, self.is_new_ledger = parse_lanes(args["--lanes"], args["--together"]), False
        limit_rate(args)
        self.parameters = [parse_step_parameter(parameter) for parameter in args["--param"]]

    def connect(self) -> Galaxy:
        """The server, which is waited for as unattended scripts do."""
        enable_bars(not self.args["--quiet"])
        self.galaxy = Galaxy(self.args["KEY"], self.args["URL"], patience=UNATTENDED)
        return self.galaxy

    def resume_lanes(self, ledger_file: Path) -> Lanes:
        """How lanes are put together: as the ledger began, else as the options say."""
        began = read_lanes(ledger_file)
        self.is_new_ledger = began is None
        self.lanes = resume_lanes(self.args["--lanes"], self.args["--together"], began)
        return self.lanes

    def check_workflow(self) -> WorkflowCheck:
        """The workflow, checked with the options that all runs of it have."""
        self.user, workflow = check_user_and_workflow(self.galaxy, self.args["WORKFLOW"])
        return check_workflow(self.galaxy, workflow, self.parameters, self.labels, bool(self.args["--download"]),
                              bool(self.args.get("--deferred")), **invocation_options(self.args))

    def _is_same_server(self, ledger: Ledger) -> bool:
        """Whether this is the server that the ledger was made for, by another address: it has a history of a name that ends
        with the sample's key, which no other server has; or nothing was made there."""
        samples = [sample for sample in ledger.samples() if sample.history]
        names = {sample.history: sample.notes.title for sample in samples
                 if sample.notes.own_history and sample.notes.unique_title}
        names.update({history: name_with_key(title, ledger.notes.history_mark)
                      for title, history in ledger.notes.histories.items()})
        return bool(self.args["--same-server"] or not (samples or names) or any(
            (self.galaxy.get_or_none(f"histories/{history}") or {}).get("name") == name
            for history, name in list(names.items())[-MAX_ASKED:]))

    @contextmanager
    def open_runner(self, ledger_file: Path, shared_history: Callable[[Ledger], str] | None = None, **about: str
                    ) -> Iterator[BatchRunner]:
        """A runner on this ledger. `shared_history(ledger)` returns the id of the history for all samples; `about`: see
        `Ledger`."""
        download = self.args["--download"]
        folder = prepare_folder(download, "--download") if download else None
        user = str(self.user.get("username") or self.user["id"])
        with Ledger(ledger_file, self._is_same_server, server=self.galaxy.base, user=user, **about) as ledger:
            if self.is_new_ledger and ledger.notes.lanes != self.lanes.describe():
                ledger.save(lanes=self.lanes.describe())
            with BatchRunner(self.galaxy, ledger, self.max_running, folder, self.labels, transfers=self.transfers,
                             shared_history=shared_history and (lambda: shared_history(ledger))) as runner:
                runner.context.share_with, runner.context.retry_in_place = self.share_with, self.retry == "jobs"
                yield runner
