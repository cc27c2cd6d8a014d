#!/usr/bin/env bash
# From a sequencer's runs to results, unattended. `make demo-sequencer` runs it; every command is shown as you
# would type it. docs/sequencer.md has the lines for a real one.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD:$PWD/scripts:$PATH"

say() { printf '\n# %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; eval "$*"; }

say "A real Galaxy on this machine. The first start installs it; galaxy_local.py stop ends it."
shown 'galaxy_local.py start'
shown 'eval "$(galaxy_local.py env)"'

say "A folder that the sequencer writes its runs to, and a watcher that stays. It counts the lines of each file of reads."
shown 'rm -rf demo/runs; mkdir -p demo/runs/new'
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
shown 'folder_watch.py --unit=run --pause=1 --fields=name,state,history --ledger=demo/runs/ledger \
    --move-to=demo/runs/done --download=demo/runs/results --on-done='\''echo "$UNIT_NAME is done: $UNIT_RESULTS"'\'' \
    --on-fail='\''echo "$UNIT_NAME failed: $UNIT_MESSAGE"'\'' - - demo/runs/new demo/reads.gxwf.yml & watcher=$!'

say "The sequencer: three runs, one after the other. Each has half of its files first, and its mark, CopyComplete.txt, last."
shown 'bash demo/sequence.sh demo/runs/new/260301_A 10'
shown 'bash demo/sequence.sh demo/runs/new/260302_A 20'
shown 'bash demo/sequence.sh demo/runs/new/260303_A 40'

say "The watcher does the rest."
shown 'until [ "$(ledger_show.py --state=ok,failed --format=value --fields=name demo/runs/ledger | wc -l)" = 3 ]; do
    kill -0 $watcher; sleep 1
done'

say "SIGTERM ends it cleanly, at any moment, with 143."
shown 'kill $watcher; wait $watcher || echo "it ended with $?"'

say "The state of each run, and the folders. The same line would resume from here."
shown 'ledger_show.py --fields=name,state,attempt,history,begun,ended demo/runs/ledger'
shown 'ls demo/runs/new demo/runs/done'

say "The results: four lines for each read, of both samples. What had no barcode (Undetermined) was left alone."
shown 'grep -r --include="*.tabular" "" demo/runs/results | sort'
