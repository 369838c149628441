# Two commands are all a newcomer needs: `make demo` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
RIVALS := .venv-bench
TRACERS := .venv-bkt
.PHONY: demo test check install bench bench-chain bench-mastery faults mutants format clean

demo: $(VENV)/.installed
	$(BIN)/cairn demo $(ARGS)

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house tests/contracts

mutants: $(VENV)/.installed
	$(BIN)/python -m tests.mutants $(if $(PATCHES),--patches $(PATCHES)) $(ARGS)

# Every figure beside its bar: `make bench`, or `make bench ARGS="--only workers --quick"`. It wants a machine of its own.
bench: $(VENV)/.installed $(RIVALS)/.installed
	$(BIN)/python -m bench $(ARGS)

bench-chain: $(VENV)/.installed
	$(BIN)/python -m bench.chain $(ARGS)

# What may go wrong, and what must hold all the same: `make faults`, or `make faults SCENARIO=zombie SEED=7`.
faults: $(VENV)/.installed
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

# How well estimates predict, how true decisions are, what they cost: `make bench-mastery DATA=FILE`.
bench-mastery: $(VENV)/.installed $(TRACERS)/.installed
	$(BIN)/python -m bench.mastery $(DATA) $(ARGS)

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Cairn needs Python 3.11 or newer: install it, or name yours with PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[local,calibration,dev]"
	@touch $@

# What `make bench` measures against: never part of the product, hence an environment apart.
$(RIVALS)/.installed: bench/constraints.txt
	test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check -c bench/constraints.txt "eventsourcing[postgres]" quixstreams
	@touch $@

# Knowledge tracing, which estimates are measured against, needs older libraries.
$(TRACERS)/.installed: bench/constraints-mastery.txt
	test -x $(TRACERS)/bin/python || $(PYTHON) -m venv $(TRACERS)
	$(TRACERS)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/constraints-mastery.txt
	@touch $@

clean:
	-$(BIN)/cairn down --wipe
	rm -rf $(VENV) $(RIVALS) $(TRACERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
