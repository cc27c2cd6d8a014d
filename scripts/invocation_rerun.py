#!/usr/bin/env python3
"""Run a workflow invocation again on the same inputs: failed jobs run again, the others are reused.

Usage:
  invocation_rerun.py [options] KEY URL INVOCATION

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the id of an invocation that failed or was cancelled, as invocation_list.py shows it

Options:
  --history=HISTORY  the history for the new invocation: an id, an exact name, or new:NAME; by default the same history
  --all              run all jobs again, also those that succeeded, and also for an invocation that succeeded
  --wait             accepted for compatibility: waiting is the default
  --no-wait          exit as soon as Galaxy has accepted the invocation
  --timeout=SECONDS  stop waiting after this many seconds in all
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas  [default: id,history_id,state]
  -q, --quiet        no progress, only results and errors
  -h, --help         show this help
  --version          show the version

Prints the new invocation's id as soon as Galaxy has accepted it, then waits and exits as invocation_wait.py does.
Galaxy itself finds the jobs to reuse: those with the same tool, version, inputs and parameters. After a kill, the
same line again continues with the invocation that was submitted.
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
from galaxy_api_scripts import releases
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.invocations.invocation import InvocationFailed, submit_once, wait_for_invocation
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, is_finished
from galaxy_api_scripts.progress import enable_bars, state_progress


def main(argv=None):
    args = arguments(__doc__, argv)
    invocation_id, timeout = parse_id(args["INVOCATION"], "INVOCATION"), int_option(args, "--timeout")
    output, rerun_all = output_options(args), args["--all"]
    if args["--no-wait"] and args["--wait"]:
        raise GalaxyError("--wait and --no-wait exclude each other", USAGE)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    invocation = galaxy.get(f"invocations/{invocation_id}")
    if not rerun_all:
        require_failed(galaxy, invocation)
    request = fetch_request(galaxy, invocation_id)
    data = {name: value for name, value in request.items() if value is not None}
    workflow_id = data.pop("workflow_id")
    # The request lacks the values that Galaxy filled in for steps that leave something out: let it fill them in again.
    data.update(use_cached_job=not rerun_all, no_add_to_history=True, allow_tool_state_corrections=True)
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow_id}/invocations"), data, output["format"])
        return DONE

    history = args["--history"] or invocation["history_id"]
    with open_target_history(galaxy, history, [], False, "rerun", invocation_id, rerun_all) as target:
        new_id = submit_once(galaxy, workflow_id, {**data, "history_id": target.id}, target.checkpoint)
        show({"id": new_id, "history_id": target.id, "state": "new"}, **output, changed=True)
        if not args["--no-wait"]:
            try:
                with state_progress("jobs") as on_progress:
                    wait_for_invocation(galaxy, new_id, timeout, on_progress=on_progress)
            except InvocationFailed as error:
                on_success(target.checkpoint.remove)
                return report_error(str(error))
        on_success(target.checkpoint.remove)
    return DONE


def fetch_request(galaxy, invocation_id):
    """Return the request that the invocation was made by."""
    try:
        return galaxy.get(f"invocations/{invocation_id}/request")
    except GalaxyError as error:
        if error.status == 404 and releases.learn_lacking(galaxy, releases.INVOCATION_REQUEST):
            releases.require(galaxy, releases.INVOCATION_REQUEST, "running an invocation again", "nothing there tells which "
                             "parameters it ran with; workflow_run.py runs its workflow on the same datasets (hda:ID)")
        raise


def require_failed(galaxy, invocation):
    """Refuse an invocation that still runs or has succeeded."""
    if invocation["state"] in ("failed", "cancelled"):
        return
    if not is_finished(galaxy, invocation):
        raise GalaxyError(f"invocation {invocation['id']} has not ended (state {invocation['state']}): invocation_wait.py "
                          "waits for it")
    if set(galaxy.get(f"invocations/{invocation['id']}/jobs_summary")["states"]) <= SUCCESS_STATES:
        raise GalaxyError(f"invocation {invocation['id']} has succeeded: to run it again add --all")


if __name__ == "__main__":
    sys.exit(run(main))
