# Every verb works in a fresh clone: what it needs is installed into .venv first, and only once.
# Paths are relative, so a checkout may live in a folder with spaces in its name.

PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all test-whole fuzz check check-js format docs package tree bench minima bare clean

help:  ## Show these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile

demo: .venv/.runtime  ## Fit real runs four ways, score a forecast, write a report
	.venv/bin/lawful demo

test: .venv/.dev  ## Run the tests, the docs' examples included
	.venv/bin/python -m pytest -n auto --dist worksteal

test-slow: .venv/.dev .venv/.docs  ## Run the tests that take more than a few seconds each
	.venv/bin/python -m pytest -n auto --dist worksteal -m slow

test-all: test test-slow  ## Run both

test-whole: .venv/.dev .venv/.docs  ## Run the slow tests whole: all 2,300 random problems, every study at full size (an hour)
	.venv/bin/python -m pytest -n auto --dist worksteal -m "slow or whole"

fuzz: .venv/.dev  ## Attack it: 20,000 random tables, damaged files, kill -9, Ctrl-C (half an hour)
	nice .venv/bin/python -m pytest tests/attack -m attack
	LAWFUL_FUZZ_EXAMPLES=$${LAWFUL_FUZZ_EXAMPLES:-20000} nice .venv/bin/python -m pytest tests/test_fuzz.py

check: .venv/.dev  ## Lint, check formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@$(MAKE) --no-print-directory check-js

check-js:  ## Lint and type-check the JavaScript of the pages, where node is found
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory .ci/js/node_modules/.done && npm run --silent --prefix .ci/js check; \
	else echo "The JavaScript was not checked: npm is not found (install Node 20 or later)."; fi

format: .venv/.dev  ## Sort imports and reformat
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

docs: .venv/.docs  ## Build the documentation site into build/site (warnings are errors)
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet
	@echo "Open build/site/index.html in a browser; no server is needed."

package: .venv/.dev  ## Build the source archive and the wheel into dist, twice, and compare the bytes
	$(PIP) 'hatchling>=1.26'
	.venv/bin/python .ci/package.py

tree: .venv/.dev  ## Write the tree of the package into ARCHITECTURE.md
	.venv/bin/python docs/hooks/tree.py

bench: .venv/.bench  ## Time the verbs (never part of the tests)
	.venv/bin/python -m pytest benchmarks --benchmark-enable --benchmark-quiet --override-ini 'python_files=bench_*.py test_*.py'

minima:  ## Run the tests on the oldest versions that pyproject allows (an environment of its own)
	rm -rf .venv-minima
	PYTHON="$(PYTHON)" sh .ci/venv .venv-minima
	.venv-minima/bin/python .ci/minima.py > .venv-minima/minima.txt
	.venv-minima/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,duckdb]' --constraint .venv-minima/minima.txt
	.venv-minima/bin/python -m pytest -n auto --dist worksteal

bare:  ## Install without extras into a new environment and use it
	rm -rf .venv-bare
	PYTHON="$(PYTHON)" sh .ci/venv .venv-bare
	.venv-bare/bin/python -m pip install --quiet --disable-pip-version-check .
	cd .venv-bare && bin/lawful --help > /dev/null && bin/python -I ../.ci/bare.py
	rm -rf .venv-bare

clean:  ## Remove environments, caches and build products
	rm -rf .venv .venv-bare .venv-minima .ci/js/node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	PYTHON="$(PYTHON)" sh .ci/venv .venv

# The package is installed in place, so only a change of its declaration calls for another install.
.venv/.runtime: pyproject.toml | .venv/bin/python
	$(PIP) --editable .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/.runtime

.venv/.docs: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[docs]'
	@touch $@ .venv/.runtime

.ci/js/node_modules/.done: .ci/js/package.json .ci/js/package-lock.json
	cd .ci/js && npm ci --silent --no-audit --no-fund
	@touch $@

.venv/.bench: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev,bench]'
	@touch $@ .venv/.dev .venv/.runtime
