# `make demo` shows the main job on this machine; `make test` sets up and runs every check that needs no guest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= 1000
SAMPLE ?= 100
ROOMS ?= isotp uds flashing vault guards
SEED ?= 1
SCENARIO ?= car
WIRE ?= kline

# Tests start some hundred engines, each of which would compile the product anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint unit vm faults hostile damage mutants benchmarks lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements-test.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-test.lock --editable '.[test]'
	touch $@

# The main job on another way in, e.g. `make demo SCENARIO=kline`.
demo: setup
	$(BIN)/pitbox demo --scenario $(SCENARIO)

test: lint unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup
	$(BIN)/pytest -n auto --dist worksteal -m 'not vm'

# Boots a Debian guest with real SocketCAN and kernel ISO-TP; see tests/vm/install.sh for what it needs.
vm: setup
	$(BIN)/pytest -m vm tests/vm

# The fault campaign, e.g. `make faults RUNS=5000 SEED=7`.
faults: setup
	$(BIN)/python -m tests.faults.campaign --runs $(RUNS) --seed $(SEED)

# Hostile ECUs beyond those of `make test`, e.g. `make hostile WIRE=kline RUNS=2000 SEED=2`.
hostile: setup
	$(BIN)/python -m tests.hostile.runs --wire $(WIRE) --runs $(RUNS) --seed $(SEED)

# Random damage to every stored file, e.g. `make damage RUNS=2000 SEED=1`.
damage: setup
	$(BIN)/python -m tests.faults.damage --runs $(RUNS) --seed $(SEED)

# Mutation testing for the night; docs/mutation.md holds the score, e.g. `make mutants SAMPLE=200 SEED=7`.
mutants: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-test.lock --editable '.[mutants]'
	$(BIN)/python -m tests.mutants --sample $(SAMPLE) --seed $(SEED) --rooms $(ROOMS)

benchmarks: setup
	$(BIN)/python -m benchmarks.all

lock: setup
	$(BIN)/pip freeze --exclude-editable > requirements-test.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
