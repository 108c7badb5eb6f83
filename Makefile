# The two commands of the README, each of which sets itself up on a machine with Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ready := $(VENV)/.ready

.PHONY: demo test quick lint types generate torture faulty-disk fuzz families million fresh-environment page screenshots clean

demo: $(ready)
	$(BIN)/pytorch-designer demo --output .demo

test: lint types
	$(BIN)/python -m pytest -n auto

# For work in between: all but the tests that are marked slow.
quick: lint types
	$(BIN)/python -m pytest -n auto -m 'not slow'

lint: $(ready)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(ready)
	$(BIN)/mypy

# Campaigns, from three to fifteen minutes each; docs/reliability.md has their figures.
torture: $(ready)
	$(BIN)/python -m tests.campaigns.torture
	$(BIN)/python -m tests.campaigns.killed_components

faulty-disk: $(ready)
	$(BIN)/python -m tests.campaigns.faulty_disk

fuzz: $(ready)
	$(BIN)/python -m tests.campaigns.fuzz

families: $(ready)
	$(BIN)/python -m tests.campaigns.families

million: $(ready)
	$(BIN)/python -m tests.campaigns.million

fresh-environment: $(ready)
	$(BIN)/python -m tests.campaigns.fresh_environment

# component.yaml, components/*.yaml and the reference pages, out of the definitions in src/pytorch_designer/components.
generate: $(ready)
	$(BIN)/python -m pytorch_designer.cli.generate

# The page of the designer, with Node.js: types, tests, and the files that are served and committed.
page:
	cd page && npm ci --no-audit --no-fund && npm test && npm run build

# Pictures of the designer in README and docs; needs Chromium.
screenshots: $(ready)
	PYTHONPATH=benchmarks $(BIN)/python docs/images/designer_pictures.py

$(ready): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .demo
