# The tools come from the environment: python -m venv .venv && . .venv/bin/activate && pip install -c constraints.txt -e '.[test]'
PYTHON ?= python

.PHONY: check format lint types contracts test test-all golden

check: lint types contracts test-all          ## the gate

format:                                       ## rewrite the sources
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .
	resdsl lint --min-severity warning

types:
	pyright

contracts:
	lint-imports

test:                                         ## the fast loop
	$(PYTHON) -m pytest -n auto -m "not slow"

test-all:
	$(PYTHON) -m pytest -n auto

golden:                                       ## rewrite golden files: read the diff
	$(PYTHON) -m pytest -n auto --update-golden
