#!/usr/bin/env python3
"""Share a history with users, with those who have its link, or with everybody, and make sure that it is so.

Usage:
  history_share.py [options] KEY URL HISTORY WITH...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  HISTORY          your history: an id, or an exact name
  WITH             a user's e-mail address, link (for all who have its address) or everybody (it is published)

Options:
  --datasets=HOW   what to do with private datasets: give = grant these users access, public = make them public, keep = leave
                   them private (give and keep are for users only); without it, a history that has any is refused
  --stop           stop sharing it with these (without its link it is not published either); datasets stay readable for those
                   who can read them
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: id, name, users, link, published, address
  -h, --help       show this help
  --version        show the version

Those with whom the history is shared already stay. Prints how it is shared now, as read back from Galaxy, with the address
to hand over. Exits with 0 only if it is shared as asked and these users can read its datasets. Galaxy gives a private
dataset to one user at a time. An empty history can't be shared with users.
  history_share.py - - "Run 42" pi@example.org
  history_share.py --format=value --fields=address - - "Run 42" link
"""
import sys

from common import DONE, USAGE, Galaxy, GalaxyError, arguments, output_options, run, show
from galaxy_api_scripts.datasets.target_history import find_writable_history
from galaxy_api_scripts.sharing import HistorySharing, check_datasets_option, parse_audience

FIELDS = ["id", "name", "users", "link", "published", "address"]


def main(argv=None):
    args = arguments(__doc__, argv)
    audience, how, stop, dry_run = parse_audience(args["WITH"]), args["--datasets"], args["--stop"], args["--dry-run"]
    check_datasets_option(how, audience)
    if stop and how:
        raise GalaxyError("--datasets: --stop leaves datasets as they are, so it takes no --datasets", USAGE)
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    history = find_writable_history(galaxy, args["HISTORY"])
    sharing = HistorySharing(galaxy, history["id"])
    row = sharing.preview(audience, stop)
    if dry_run and not stop:
        sharing.check(audience, how)
    elif not dry_run:
        (sharing.stop(audience) if stop else sharing.share(audience, how))
        row = sharing.row
    show(row, output["format"], output["fields"] or FIELDS, changed=not dry_run, upright=True)
    return DONE


if __name__ == "__main__":
    sys.exit(run(main))
