#!/usr/bin/env bash
# From a file to a result, with this project's scripts and nothing else. `make demo` runs it; every command is shown as
# you would type it.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD:$PWD/scripts:$PATH"

say() { printf '\n# %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; eval "$*"; }

say "A real Galaxy on this machine. The first start installs it; galaxy_local.py stop ends it."
shown 'galaxy_local.py start'
shown 'eval "$(galaxy_local.py env)"'

say "Who answers?"
shown 'display.py - /api/version'

say "A history, and a file in it: a year of rain and temperature in Seattle."
shown 'history=$(history_create_history.py --format=value --fields=id - - "Seattle 2015")'
shown 'data=$(upload_to_history.py --format=value --fields=id - - $history demo/seattle_2015.tsv file_type=tabular)'

say "A workflow of four steps: drop the heading, keep days with 1 mm of rain or more, count by month, wettest first."
shown 'workflow=$(workflow_import.py --format=value --fields=id - - demo/wet_days.ga)'
shown 'run=$(workflow_execute.py --format=value --fields=id - - $workflow hist_id=$history observations=hda=$data)'

say "Wait until every job has ended well."
shown 'invocation_wait.py --timeout=600 - - $run'

say "The result."
shown 'result=$(invocation_wait.py --format=value --fields=id - - $run)'
shown 'table=$(dataset_download.py --to=demo/results --force - - $result)'
shown 'python demo/table.py "$table" month wet_days rain_mm wettest_day_mm'
