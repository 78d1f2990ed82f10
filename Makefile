# Every target sets up .venv by itself (uv if present, else venv and pip) from requirements.lock; nothing is done twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= auto

.PHONY: setup demo test bench check format lint types imports screenshots lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (make PYTHON=python3.12 …)" >&2; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ; \
	fi
	@touch $@

demo: setup
	@$(BIN)/fluxtui demo

test: setup
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

check: format lint types imports test

format: setup
	$(BIN)/ruff format --check fluxtui tests

lint: setup
	$(BIN)/ruff check fluxtui tests

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

screenshots: setup
	$(BIN)/python -m tests.screenshots

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-package fluxtui --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
