# Every target builds .venv on first use, from a bare Python and constraints.txt.

PYTHON ?= python3
VENV := .venv
BENCH_VENV := .bench-venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What benchmarks compare with; kept apart, because nothing of ours may depend on it.
RIVALS := metaflow==2.19.39 boto3 numpy obstore s5cmd
# Where benchmarks run that need the Amazon provider's deferrable operators: aiobotocore wants a
# botocore of its own.
BENCH_AIRFLOW := .bench-venv-airflow

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt bench clean

help:
	@echo "make demo      Airflow, an embedded AWS and example flows; KEEP=1 leaves them running"
	@echo "make test      all tests; ARGS='-m \"not e2e\"' for a part"
	@echo "make test-airflow-3.1   those of the provider with an older Airflow; also 3.2"
	@echo "make lint      ruff, mypy, import-linter"
	@echo "make fmt       format, and fix what ruff can fix"
	@echo "make bench     benchmarks against rivals"
	@echo "make clean     remove everything these targets have made"

demo: $(STAMP)
	$(BIN)/python -m airflow_flowprovider.local demo $(if $(KEEP),--keep)

# What starts no Airflow uses all cores; the rest uses them by itself. Both run, whatever fails.
test: $(STAMP)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@status=0; set -x; \
	$(BIN)/python -m pytest -m "not e2e" -n auto --dist worksteal || status=1; \
	$(BIN)/python -m pytest -m e2e || status=1; \
	exit $$status
endif

test-airflow-%: $(STAMP)
	$(BIN)/nox -s airflow-$*

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(STAMP) $(BENCH_VENV)/.installed $(BENCH_AIRFLOW)/.installed
	@set -e; for script in benchmarks/bench_*.py; do \
		venv=$(VENV); ! grep -q aiobotocore "$$script" || venv=$(BENCH_AIRFLOW); \
		echo "== $$script"; $$venv/bin/python "$$script"; \
	done

clean:
	rm -rf $(VENV) .nox $(BENCH_VENV) $(BENCH_AIRFLOW) build dist htmlcov .coverage .coverage.*
	rm -rf .flowsdk .flowprovider .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# venv without pip is how Debian and Ubuntu ship Python: say so before it fails half-way.
$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { \
		echo "Python ($(PYTHON)): not found, expected 3.10 or later." \
			"Install it, or name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python ($(PYTHON)): found $$($(PYTHON) --version 2>&1), expected 3.10 or later." \
			"Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python ($(PYTHON)): found no venv or ensurepip, expected both." \
			"On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

# uv knows neither pip's configuration nor, unless told, the certificates that this system trusts:
# behind a company's proxy the second try works, and where only pip knows a mirror the third.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -b constraints.txt
PROJECT := -e '.[airflow,local,dev]'
$(STAMP): pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) $(PROJECT) || $(INSTALL) --system-certs $(PROJECT) || { \
		echo "uv could not install; trying pip, which takes minutes." >&2; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check \
			-c constraints.txt $(PROJECT); }
	@touch $@

# A rival that cannot be installed leaves a gap in a table, not a failed benchmark.
$(BENCH_VENV)/.installed: Makefile | $(STAMP)
	$(BIN)/python -m venv --clear $(BENCH_VENV)
	-$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt $(RIVALS)
	@touch $@

$(BENCH_AIRFLOW)/.installed: pyproject.toml constraints.txt Makefile | $(STAMP)
	$(BIN)/python -m venv --clear $(BENCH_AIRFLOW)
	grep -v '^boto' constraints.txt >$(BENCH_AIRFLOW)/constraints.txt
	-$(BIN)/uv pip install --quiet --python $(BENCH_AIRFLOW)/bin/python \
		-c $(BENCH_AIRFLOW)/constraints.txt -e '.[airflow,local]' 'aiobotocore>=2.21' \
		psycopg2-binary asyncpg
	@touch $@
