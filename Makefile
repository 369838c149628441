# Two commands are all a newcomer needs: `make demo` and `make test`. Each installs what it needs into .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
NATIVE := .venv-native
SETUPTOOLS := setuptools==80.9.0
# What mypyc needs besides: a C compiler, and Python's headers. Empty where one of them is missing.
COMPILER = $(and $(shell command -v cc),$(wildcard $(shell $(or $(wildcard $(BIN)/python),$(PYTHON)) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h))
# How many processes share the tests, each with a Kafka and a PostgreSQL of its own; 0 runs them one after another.
PROCESSES ?= 2
# What the benches measure: `native` where it can be built, unless told otherwise.
FORM = $(if $(COMPILER),native,interpreted)
MEASURED = $(if $(filter native,$(FORM)),$(NATIVE),$(VENV))
RIVALS := .venv-bench
TRACERS := .venv-bkt
NATIVE_TESTS := tests/contracts tests/mastery/test_golden.py tests/mastery/test_domain.py tests/mastery/test_state.py \
	tests/mastery/test_filter.py tests/mastery/test_rule.py tests/mastery/test_due.py tests/mastery/test_judged.py \
	tests/mastery/test_revision.py tests/mastery/test_amended.py tests/evidence/test_domain.py tests/evidence/test_golden.py \
	tests/shared/test_exact.py tests/shared/test_reader.py tests/shared/test_fresh.py tests/shared/test_replay.py \
	tests/shared/test_asks.py
# What a whole installation of compiled code must do: move a day by an answer and a choice, come back from a kill, replay all it decided.
CHAIN := tests/system/test_chain.py
NATIVE_CHAIN := $(CHAIN)::test_an_answer_moves_estimate_level_path_and_tomorrow $(CHAIN)::test_a_choice_is_honoured_in_path_and_demand \
	$(CHAIN)::test_a_service_killed_in_the_middle_loses_and_doubles_nothing[scheduling] \
	$(CHAIN)::test_every_decision_replays_and_a_learners_story_has_its_causes
NATIVE_PYTEST = PYTHONSAFEPATH=1 $(NATIVE)/bin/python -m pytest -p no:cacheprovider --override-ini addopts="--import-mode=importlib -q"
.PHONY: demo test check check-native native-bytes native-chain install native bench bench-chain bench-mastery faults mutants format clean

demo: $(VENV)/.installed
	$(BIN)/cairn demo $(ARGS)

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(PROCESSES) $(ARGS)

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/house tests/contracts

mutants: $(VENV)/.installed
	$(BIN)/python -m tests.mutants $(if $(PATCHES),--patches $(PATCHES)) $(ARGS)

# Every figure beside its bar: `make bench`, or `make bench ARGS="--only workers --quick"`. It wants a machine of its own.
bench: $(MEASURED)/.installed $(RIVALS)/.installed
	PYTHONSAFEPATH=$(if $(filter $(NATIVE),$(MEASURED)),1) $(MEASURED)/bin/python -m bench $(ARGS)

bench-chain: $(MEASURED)/.installed
	PYTHONSAFEPATH=$(if $(filter $(NATIVE),$(MEASURED)),1) $(MEASURED)/bin/python -m bench.chain $(ARGS)

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

# The same sources with the modules of setup.py compiled, in an environment of its own: never beside the sources, where what was compiled
# would hide what was edited since. All else it takes from .venv; the checkout comes last on its path, for tests and benches.
native: $(NATIVE)/.installed

$(NATIVE)/.installed: $(VENV)/.installed setup.py $(shell find shared services demo -name '*.py' -o -name '*.json' -o -name '*.html')
	@$(if $(COMPILER),,echo "a native build needs a C compiler and the headers of Python"; exit 1)
	rm -rf build $(NATIVE)
	$(BIN)/python -m venv $(NATIVE)
	$(NATIVE)/bin/python -m pip install --quiet --disable-pip-version-check $(SETUPTOOLS)
	cd $(NATIVE)/lib/python3*/site-packages && printf '%s\n' 'import os; os.environ["PYTHONSAFEPATH"] = "1"  # Of its children.' \
		$(abspath $(VENV))/lib/python3*/site-packages $(CURDIR) > cairn-native.pth
	CAIRN_NATIVE=1 MYPY_CACHE_DIR=$(abspath $(NATIVE))/.mypy_cache $(NATIVE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .
	rm -rf build
	@touch $@

# What compiled code must do as interpreted code does.
check-native: native-bytes native-chain

ifneq ($(COMPILER),)
# It writes the bytes that interpreted code writes, and each replays what the other wrote.
native-bytes: $(NATIVE)/.installed
	$(NATIVE_PYTEST) $(NATIVE_TESTS)
	$(BIN)/python -m tests.native $(NATIVE)/bin/python

# All services run in it as one installation, whose processes send each other what they do.
native-chain: $(NATIVE)/.installed
	PYTHONSAFEPATH=1 $(NATIVE)/bin/python -c 'from bench.form import form; assert form().startswith("native"), form()'
	$(NATIVE_PYTEST) $(foreach test,$(NATIVE_CHAIN),"$(test)")
else
native-bytes native-chain:
	@echo "left out: $@, for which a C compiler or the headers of Python are missing"
endif

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
	rm -rf $(VENV) $(NATIVE) $(RIVALS) $(TRACERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
