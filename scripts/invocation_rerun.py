#!/usr/bin/env python3
"""Run a workflow's run once more on the same inputs: what failed runs again, the rest is taken from the jobs that ran.

Usage:
  invocation_rerun.py [options] KEY URL INVOCATION

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the id of a run that has failed or was cancelled, as invocation_list.py shows it

Options:
  --history=HISTORY  where the new run goes: an id, an exact name, or new:NAME; the same history unless given
  --all              run all again, also what ended well, and also a run that did
  --wait             wait for the end, which it does anyway
  --no-wait          end as soon as Galaxy has begun the run
  --timeout=SECONDS  how long to wait for the end; as long as it takes unless given
  -n, --dry-run      show what would be sent, send nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas
  -q, --quiet        print nothing of the new run
  -h, --help         show this

The new run has an id of its own, which is printed as soon as Galaxy has begun it. Equal jobs are Galaxy's to find: same tool
and version, same inputs, same parameters. Exits as invocation_wait.py does. The same line again after a kill goes on with
the run that it has begun.
  invocation_rerun.py - - 85a07f4bbdb2c898
"""
import sys

from common import (
    DONE,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    on_success,
    output_options,
    parse_id,
    print_request,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.invocations.invocation import InvocationFailed, submit_once, wait_for_invocation
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, is_finished
from galaxy_api_scripts.progress import state_progress


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, timeout, (style, fields) = parse_id(args["INVOCATION"], "INVOCATION"), int_option(
        args, "--timeout"), output_options(args).values()
    if args["--no-wait"] and args["--wait"]:
        raise GalaxyError("--wait or --no-wait, not both", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    about = galaxy.get(f"invocations/{run_id}")
    if not args["--all"]:
        refuse_what_need_not_run(galaxy, about)
    data = {name: value for name, value in galaxy.get(f"invocations/{run_id}/request").items() if value is not None}
    workflow = data.pop("workflow_id")
    # What Galaxy filled in for steps that leave something out it may fill in again: the request does not tell it.
    data.update(use_cached_job=not args["--all"], no_add_to_history=True, allow_tool_state_corrections=True)
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow}/invocations"), data, style)
        return DONE

    with open_target_history(galaxy, args["--history"] or about["history_id"], [], False, "rerun", run_id, args["--all"]) as where:
        made = submit_once(galaxy, workflow, {**data, "history_id": where.id}, where.checkpoint)
        if not args["--quiet"]:
            show({"id": made, "history_id": where.id, "state": "new"}, style, fields, changed=True)
        if not args["--no-wait"]:
            try:
                with state_progress("jobs") as on_progress:
                    wait_for_invocation(galaxy, made, timeout, on_progress=on_progress)
            except InvocationFailed as error:
                on_success(where.checkpoint.remove)
                return report_error(str(error))
        on_success(where.checkpoint.remove)
    return DONE


def refuse_what_need_not_run(galaxy, about):
    """Refuse a run that still goes on, and one that has ended well."""
    if about["state"] not in ("failed", "cancelled") and not is_finished(galaxy, about):
        raise GalaxyError(
            f"invocation {about['id']} has not ended (state {about['state']}): invocation_wait.py waits for it")
    states = galaxy.get(f"invocations/{about['id']}/jobs_summary")["states"]
    if about["state"] not in ("failed", "cancelled") and set(states) <= SUCCESS_STATES:
        raise GalaxyError(f"invocation {about['id']} has ended well: there is nothing to run again, but with --all")


if __name__ == "__main__":
    sys.exit(run(main))
