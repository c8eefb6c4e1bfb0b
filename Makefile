# What a person types. Every target makes the virtual environment it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help story install dev test check lint types bench clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Lilliput needs Python 3.11 or later; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Lilliput into $(VENV) (PyTorch is the large part) ..."
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Lilliput and its development tools into $(VENV) ..."
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.core

# LitGPT holds huggingface-hub back, so it lives apart; the benchmark starts it there.
$(VENV)-bench/.peers: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the peers to measure against into $(VENV)-bench ..."
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt -e '.[bench]'
	@touch $@

install: $(VENV)/.core  ## install Lilliput into .venv
dev: $(VENV)/.dev  ## install the development tools as well

story: $(VENV)/.core  ## grow a model that tells a story: two to three minutes
	@$(BIN)/lilliput train story

test: $(VENV)/.dev  ## run the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright

bench: $(VENV)/.dev $(VENV)-bench/.peers  ## measure a training step beside transformers and LitGPT: 15 minutes, alone
	$(BIN)/python benchmarks/train_step.py

check: lint types test  ## what to run before a commit: lint, types, tests

clean:  ## remove the virtual environments and caches; runs stay
	rm -rf .venv .venv-bench .pytest_cache .ruff_cache .hypothesis
