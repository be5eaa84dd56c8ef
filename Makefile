# Two commands matter: `make book` and `make test`. Each makes the environment .venv first, if it is
# missing or was not made here from the present lock.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
PRESET ?= quick
SEED ?= 0
# Another Python has an environment of its own: make unit PYTHON=python3.13
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin

# One BLAS thread a process: the book and the tests run two processes side by side.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# What the shell has set for other work must not reach in.
unexport MPLBACKEND PYTHONPATH PYTHONHOME

.PHONY: help environment book pdf stills test test-lowest lint unit notebooks-test site-test chapter paper refresh seeds check-results bench lock clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

environment: ## Make the environment, if it is missing or stale
	@$(PYTHON) .ci/environment.py $(VENV)

book: environment ## Execute the chapters at the quick preset and render _build/html/index.html
	$(BIN)/python book/build.py

pdf: book ## Print the whole book to _build/networks-from-moments.pdf (needs Chromium)
	$(BIN)/python book/pdf.py

stills: environment ## Draw the still pictures of the explorables again (needs Chromium)
	$(BIN)/python book/stills.py

test: lint unit notebooks-test book site-test ## Run every check: lint, types, layers, units, notebooks, rendered site

lint: environment ## Check style, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test-lowest: ## Run the library's tests at the lowest versions that it declares
	@$(PYTHON) .ci/environment.py --lowest .venv-lowest
	.venv-lowest/bin/python -m pytest -q -n 2 --dist loadfile tests/library

unit: environment ## Run the library's tests and doctests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --ignore=tests/notebooks

# A chapter that a fresh run has shown right is not executed once more by the book.
notebooks-test: environment ## Compare the committed notebooks with a fresh run, and run them at another seed
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/notebooks
	PYTHONPATH=book $(BIN)/python -m pytest -q -n 2 --dist loadfile -p reuse --nbval --nbval-sanitize-with tests/notebooks/sanitize.cfg --nbval-kernel-name python3 notebooks

site-test: book ## Read the rendered book in a headless browser
	$(BIN)/python -m pytest -q -rs -n 2 tests/site

chapter: environment ## Execute one chapter: make chapter N=01 PRESET=paper SEED=0
	@test -n "$(N)" || { echo "which chapter? make chapter N=01"; exit 2; }
	$(BIN)/python book/build.py --chapter $(N) --preset $(PRESET) --seed $(SEED)

paper: environment ## Recompute all stored paper-size results, then the book
	$(BIN)/python -m companion.sweep store
	$(BIN)/python book/build.py

refresh: environment ## Re-execute the committed notebooks in place (quick preset, seed 0)
	$(BIN)/python book/build.py --refresh

seeds: environment ## Decide every row again at two further seeds, for the ledger
	$(BIN)/python book/build.py --seeds

check-results: environment ## Recompute a random sample of the stored results
	$(BIN)/python -m companion.sweep check --jobs 2

bench: environment ## Run the benchmarks; ratios to the bare BLAS calls and to peers are printed
	$(BIN)/python -m pytest -q --override-ini=addopts= benchmarks/bench_*.py --benchmark-columns=median,iqr,rounds

lock: ## Renew requirements.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra book --extra test pyproject.toml -o requirements.lock

clean: ## Remove everything that was built
	rm -rf _build .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .benchmarks
