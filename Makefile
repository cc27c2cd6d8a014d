# `make demo`, `make demo-sequencer` and `make test` each begin from a bare checkout.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-sequencer test offline galaxy live matrix soak sweep coverage check lint reference package collisions bench clean

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash demo/demo.sh

demo-sequencer: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" bash demo/sequencer.sh

# What is tested without a Galaxy takes as long as its installation, which waits for the network and the disk.
test: $(VENV)/.installed
	$(MAKE) -j2 offline galaxy
	$(MAKE) live

galaxy: $(VENV)/.installed
	$(BIN)/python scripts/galaxy_local.py install --with-toolshed
	$(BIN)/python scripts/galaxy_local.py install --release=24.1

offline: $(VENV)/.installed
	$(BIN)/python -m pytest tests --ignore=tests/live

live: $(VENV)/.installed
	@echo "The live tests run on a Galaxy of their own; the first time it is installed, which takes minutes."
	$(BIN)/python -m pytest tests/live

# The live tests on each release, into docs/releases.md, which takes hours.
matrix: $(VENV)/.installed
	$(BIN)/python tests/live/matrix.py $(if $(TESTS),--tests="$(TESTS)") $(RELEASES)

soak: sweep
	$(BIN)/python -m pytest tests/live/test_soak.py tests/live/test_releases_live.py tests/live/test_lanes_live.py \
		tests/live/test_tool_install_live.py -m soak -s

# Every script against a fake Galaxy in each way in which a server can be wrong.
sweep: $(VENV)/.installed
	$(BIN)/python tests/fault/sweep.py

coverage: $(VENV)/.installed-dev
	$(BIN)/coverage run -m pytest tests --ignore=tests/live
	$(BIN)/coverage report

check: lint offline

reference: $(VENV)/.installed
	$(BIN)/python docs/make_reference.py
	$(BIN)/python completions/make_table.py
	$(BIN)/python docs/make_coverage.py

package: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > /dev/null
	$(BIN)/twine check --strict dist/*
	$(BIN)/python bench/wheel_contents.py dist

# PyPI's packages with names like those that this project once installed: none of them is harmed, and none harms ours.
collisions: package
	bash bench/collisions.sh $(CURDIR)/dist

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.installed bench/peers/bioblend/.installed bench/peers/galaxy-parsec/.installed \
		bench/peers/galaxy-upload/.installed bench/peers/planemo/.installed
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/transfer.py
	$(BIN)/python bench/library_sync.py
	$(BIN)/python bench/workflow_run.py
	$(BIN)/python bench/many_jobs.py
	$(BIN)/python bench/many_rows.py
	$(BIN)/python bench/lanes.py
	$(BIN)/python bench/batch.py
	$(BIN)/python bench/far.py
	$(BIN)/python bench/administration.py

clean:
	rm -rf $(VENV) bench/peers build dist *.egg-info

# An installed command is a copy of its script, so that a script that changed is installed again.
$(VENV)/.installed: setup.cfg pyproject.toml $(wildcard *.py scripts/*.py)
	@$(PYTHON) -c 'import sys; sys.exit("this needs Python 3.9 or later: make PYTHON=python3.11 ..." if sys.version_info < (3, 9) else 0)'
	@if [ -e $(VENV)/.installing ]; then echo "clearing $(VENV): its installation was broken off"; rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(VENV)/.installing
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[test]'
	@rm $(VENV)/.installing
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	touch $@

# The benchmarks' peers, each in an environment of its own, because parsec needs an old BioBlend.
bench/peers/%/.installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -qq --disable-pip-version-check $*
	touch $@
