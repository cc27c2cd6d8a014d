#!/usr/bin/env bash
# Install PyPI's packages with names like ours, then our wheel, into one environment: every script starts, the others' files
# stay as they were, and are still there and whole once ours is uninstalled.
# Usage: bench/collisions.sh FOLDER_OF_THE_WHEEL
set -euo pipefail
others=(records inputs invocations queries)
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
python3 -m venv "$environment"
pip() { "$environment/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
installed() { (cd "$environment"/lib/python*/site-packages && find . -type f -not -name '*.pyc' -not -path './galaxy_api_scripts*' \
    -not -path './common.py' -print0 | sort -z | xargs -0 sha256sum); }

pip install requests docopt-ng tabulate tqdm PyYAML Jinja2
pip install --no-deps "${others[@]}"
installed > "$environment/before"
pip install "$1"/*.whl
installed | diff "$environment/before" - && echo "${others[*]}: unchanged beside ours"

count=0
for script in "$environment"/bin/*.py; do
    case "$(basename "$script")" in
        [a-z]*_[a-z]*.py|display.py|create.py|update.py|delete.py|search.py)
            (cd / && "$script" --help > /dev/null) || { echo "$script does not start"; exit 1; }
            count=$((count + 1)) ;;
    esac
done
echo "$count scripts start beside them"

pip uninstall --yes galaxy-api-scripts
installed | diff "$environment/before" - && echo "${others[*]}: unchanged after ours was uninstalled"
