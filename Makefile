# Two commands matter: `make book` and `make test`. Each makes .venv from requirements.lock first,
# if it is missing or older than the lock.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PRESET ?= quick
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# One BLAS thread a process: the book and the tests run two processes side by side.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
unexport MPLBACKEND

.PHONY: help book test lint unit notebooks-test site-test chapter paper refresh check-results bench lock clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=...")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import matplotlib.pyplot'
	touch $@

book: $(READY) ## Execute the chapters at the quick preset and render _build/html/index.html
	$(BIN)/python book/build.py

test: $(READY) lint unit notebooks-test book site-test ## Run every check: lint, types, layers, units, notebooks, rendered site

lint: $(READY) ## Check style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: $(READY) ## Run the library's tests and doctests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --ignore=tests/notebooks

notebooks-test: $(READY) ## Compare the committed notebooks with a fresh run, and run them at another seed
	$(BIN)/python -m pytest -q -n 2 tests/notebooks
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --nbval --nbval-sanitize-with tests/notebooks/sanitize.cfg --nbval-kernel-name python3 notebooks

site-test: $(READY) ## Read the rendered book in a headless browser
	$(BIN)/python -m pytest -q -rs -n 2 tests/site

chapter: $(READY) ## Execute one chapter: make chapter N=01 PRESET=paper SEED=0
	@test -n "$(N)" || { echo "which chapter? make chapter N=01"; exit 2; }
	$(BIN)/python book/build.py --chapter $(N) --preset $(PRESET) --seed $(SEED)

paper: $(READY) ## Recompute all stored paper-size results, then the book
	$(BIN)/python -m companion.sweep store
	$(MAKE) book

refresh: $(READY) ## Re-execute the committed notebooks in place (quick preset, seed 0)
	$(BIN)/python book/build.py --refresh

check-results: $(READY) ## Recompute a random sample of the stored results
	$(BIN)/python -m companion.sweep check

bench: $(READY) ## Run the benchmarks; ratios to the bare BLAS calls and to peers are printed
	$(BIN)/python -m pytest -q --override-ini=addopts= benchmarks/bench_*.py --benchmark-columns=median,iqr,rounds

lock: ## Renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra book --extra test pyproject.toml -o requirements.lock

clean: ## Remove everything that was built
	rm -rf _build $(VENV) .pytest_cache .mypy_cache .ruff_cache .benchmarks
