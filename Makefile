# `make sandbox` runs iris, `make test` tests it. Neither needs root or services. Both create .venv if necessary.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST_ARGS ?=
# --dist loadfile keeps the tests of a file in one process, so that they share its fixtures. tests/conftest.py runs long
# files first.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
BENCH_ARGS ?=
CHAOS_ARGS ?=
LOAD_ARGS ?=

.PHONY: sandbox test field check docs bench load chaos lock clean help
.DEFAULT_GOAL := help

help:
	@echo "make sandbox   run iris on http://127.0.0.1:8000 (IRIS_PORT and IRIS_HOME choose others)"
	@echo "make test      run all tests (PYTEST_ARGS='-k name' runs some)"
	@echo "make field     run the extended tests with large counts, before a release"
	@echo "make bench     measure the figures of benchmarks/results (BENCH_ARGS='--scale 0.1 runs')"
	@echo "make load      measure the API beside a campaign: 20 requests and a login a second (LOAD_ARGS='--scale 0.1')"
	@echo "make chaos     let processes die, or other things fail, during a campaign (CHAOS_ARGS='--scenario all --times 3')"
	@echo "make check     lint, format, spelling, types, import rules, migrations, documents, licences"
	@echo "make docs      build the site of docs/ into build/docs"
	@echo "make lock      update requirements/*.txt from requirements/*.in"
	@echo "make clean     remove .venv and caches, but not var/, which contains the data"

sandbox: $(VENV)/base.stamp
	@exec $(BIN)/python manage.py sandbox --examples

test: $(VENV)/dev.stamp
	$(PYTEST) $(PYTEST_ARGS)

field: $(VENV)/dev.stamp
	IRIS_TEST_SCALE=field $(PYTEST) -m field $(PYTEST_ARGS)

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

load: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(LOAD_ARGS) load

chaos: $(VENV)/dev.stamp
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

# -n and -W make warnings errors, such as broken links and pages without a place in the navigation.
SPHINX := $(BIN)/sphinx-build -q -n -W --keep-going -d $(VENV)/doctrees

docs: $(VENV)/docs.stamp
	$(SPHINX) docs build/docs
	@echo "The site is ready: build/docs/index.html"

check: $(VENV)/dev.stamp $(VENV)/docs.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/python -m mypy .
	$(BIN)/lint-imports
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py makemigrations --check --dry-run
	IRIS_HOME=$(VENV)/check DJANGO_SETTINGS_MODULE=tests.lint_settings $(BIN)/python manage.py lintmigrations
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py migrate --verbosity 0
	IRIS_HOME=$(VENV)/check IRIS_PUBLIC_URL=https://iris.example.com IRIS_HSTS_SECONDS=3600 \
		IRIS_SANDBOX_INBOX=off IRIS_CARRIERS_FILE=tests/carriers.toml IRIS_SMTP_URL=smtp://mail.example.com \
		$(BIN)/python manage.py check --deploy --fail-level WARNING
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py settingstable --check
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py permissionstable --check
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py errorcodes --check
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py schema --check
	IRIS_HOME=$(VENV)/check $(BIN)/python manage.py licences --check
	$(SPHINX) -E docs $(VENV)/site

# --universal creates one file for all systems and for Python 3.11 and newer.
lock: $(VENV)/dev.stamp
	$(PIP) install --quiet uv
	for name in base http piper s3 sip smpp dev browser docs bench; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--upgrade requirements/$$name.in -o requirements/$$name.txt; \
	done

clean:
	rm -rf $(VENV) build/docs .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

# Requirements are installed only if they are newer than their stamp.
$(VENV)/base.stamp: requirements/base.txt $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@ $(VENV)/base.stamp

# The queues beside which iris is measured.
$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/dev.stamp
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/docs.stamp: requirements/docs.txt $(VENV)/bin/python
	$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "iris needs Python 3.11 or newer, but $(PYTHON) was not found. Set PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "iris needs Python 3.11 or newer; this is $$($(PYTHON) --version). Choose another one: PYTHON=python3.12 make …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot create a virtual environment: install the package python3-venv (Debian, Ubuntu)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
