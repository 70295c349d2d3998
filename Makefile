# serve and test set everything up on a fresh machine with Python 3.11, python3-venv and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet install --constraint constraints.txt

.PHONY: serve test check docs bench-startup install clean

serve: install  ## serve a demo account with five messages at 127.0.0.1:1110
	$(BIN)/pop3 serve --demo demo

test: .venv/test  ## run all tests
	$(BIN)/pytest

check: .venv/check  ## lint, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/docs  ## build the documentation into docs/_build
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build --fail-on-warning --keep-going docs docs/_build

bench-startup: .venv/test  ## how long the commands take to start
	$(BIN)/python benchmarks/startup.py

install: .venv/install  ## make .venv with the command .venv/bin/pop3

.venv/install: pyproject.toml constraints.txt setup.py src/restante/protocol/speedups.c
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/%: .venv/install
	$(PIP) --editable .[$*]
	touch $@

clean:
	rm -rf .venv demo docs/_build
