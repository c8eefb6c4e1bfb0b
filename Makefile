# What a person types. Every target makes the virtual environment it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help story install dev test studies check lint types bench time-to-loss align list run-next run-specific run-all faults sanitize \
  lens-check curation-check tables-check hooks constraints clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

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
$(VENV)-bench/.peers: pyproject.toml constraints-bench.txt | $(BIN)/python
	@echo "installing the peers to measure against into $(VENV)-bench ..."
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check --quiet install -c constraints-bench.txt -e '.[bench]'
	@touch $@

# sae-lens holds TransformerLens below 4, so each has an environment of its own, without Lilliput.
$(VENV)-lens/.peers: constraints.txt | $(BIN)/python
	@echo "installing sae-lens into $(VENV)-lens ..."
	$(PYTHON) -m venv $(VENV)-lens
	$(VENV)-lens/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt 'sae-lens>=6.54,<7'
	@touch $@

$(VENV)-bridge/.peers: constraints.txt | $(BIN)/python
	@echo "installing TransformerLens 4 and nnsight into $(VENV)-bridge ..."
	$(PYTHON) -m venv $(VENV)-bridge
	$(VENV)-bridge/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt \
	  'transformer-lens>=4.3,<5' 'nnsight>=0.8,<0.9'
	@touch $@

# datatrove needs spaCy for its words, and both are large, so they live apart with Lilliput's core.
$(VENV)-curation/.peers: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing datatrove, spaCy and rensa into $(VENV)-curation ..."
	$(PYTHON) -m venv $(VENV)-curation
	$(VENV)-curation/bin/python -m pip --disable-pip-version-check --quiet install -e . \
	  'datatrove[processing]>=0.10,<0.11' 'spacy>=3.8,<4' 'rensa>=0.5,<0.6' pytest pytest-timeout hypothesis
	@touch $@

# sdmetrics needs an older pandas than the development tools do.
$(VENV)-tables/.peers: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing sdmetrics into $(VENV)-tables ..."
	$(PYTHON) -m venv $(VENV)-tables
	$(VENV)-tables/bin/python -m pip --disable-pip-version-check --quiet install -e '.[tables]' \
	  'sdmetrics>=0.32,<0.33' pytest pytest-timeout hypothesis
	@touch $@

install: $(VENV)/.core  ## install Lilliput into .venv
dev: $(VENV)/.dev  ## install the development tools as well

story: $(VENV)/.core  ## grow a model that tells a story: three minutes at most
	@$(BIN)/lilliput train story train.seconds=165  # a slow machine ends sooner, its rates at 0

test: $(VENV)/.dev  ## run the whole test suite
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

studies: $(VENV)/.dev  ## run each study of benchmarks/ from beginning to end with tiny models
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m study

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --project pyproject.toml --threads

bench: $(VENV)/.dev $(VENV)-bench/.peers  ## measure a training step beside transformers and LitGPT: 15 minutes, alone
	$(BIN)/python benchmarks/train_step.py

time-to-loss: $(VENV)/.dev $(VENV)-bench/.peers  ## bits per byte against wall clock beside LitGPT: four hours, alone
	$(BIN)/python benchmarks/time_to_loss.py --svg docs/time_to_loss.svg

align: $(VENV)/.core  ## teach one small model by every stage, with a table and a page: 46 minutes on two cores of an EPYC
	$(BIN)/python benchmarks/align.py

faults: $(VENV)/.dev  ## inject every fault that is known and print how it ended: ten minutes at most
	$(BIN)/python -m tests.faults

# The sanitizer has to be there before Python, and with it the C++ library whose exceptions it watches.
SANITIZED := tests/base/runtime/test_sanitize.py tests/model/test_kernels.py tests/model/test_attention_kernel.py \
  tests/model/test_wrong_kernels.py tests/model/test_cross_entropy.py tests/model/test_contract.py \
  tests/decoding/test_native.py tests/decoding/test_engine.py tests/decoding/test_completion.py
sanitize: $(VENV)/.dev  ## run the tests of kernels and decoding under AddressSanitizer and UBSan (Linux, g++)
	@test -e "$$($(CXX) -print-file-name=libasan.so)" || { echo "$(CXX) has no libasan: install g++"; exit 2; }
	LILLIPUT_SANITIZE=address,undefined,float-cast-overflow UBSAN_OPTIONS=print_stacktrace=1 \
	  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	  LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	  $(BIN)/python -m pytest --timeout 1200 $(SANITIZED)

lens-check: $(VENV)/.dev $(VENV)-lens/.peers $(VENV)-bridge/.peers  ## compare the lens with TransformerLens, nnsight and sae-lens
	$(BIN)/python -m pytest tests/lens/test_transformer_lens.py tests/lens/test_sparse_files.py \
	  tests/lens/test_sae_lens.py tests/test_benchmarks_lens.py
	$(BIN)/python benchmarks/lens.py
	$(BIN)/python benchmarks/lens_sparse.py

curation-check: $(VENV)/.dev $(VENV)-curation/.peers  ## compare the rules of curation with datatrove's, and their speed
	$(VENV)-curation/bin/python -m pytest tests/data/test_rules_datatrove.py
	$(BIN)/python benchmarks/curation.py --data ../shared/data

tables-check: $(VENV)-tables/.peers  ## compare the figures of synthetic tables with those of SDMetrics
	$(VENV)-tables/bin/python -m pytest tests/worlds/tables/test_sdmetrics.py

list: $(VENV)/.core  ## list the experiments of experiments.yaml
	@$(BIN)/lilliput experiments list

run-next: $(VENV)/.core  ## train the next experiment
	@$(BIN)/lilliput experiments run-next

run-specific: $(VENV)/.core  ## train one experiment: make run-specific MODEL=NAME
	@test -n "$(MODEL)" || { echo "say which: make run-specific MODEL=NAME (make list shows them)"; exit 2; }
	@$(BIN)/lilliput experiments run $(MODEL)

run-all: $(VENV)/.core  ## train all experiments, one after another
	@$(BIN)/lilliput experiments run-all

check: lint types test  ## what to run before a commit: lint, types, tests

hooks: $(VENV)/.dev  ## run ruff and the quick checks before every commit
	$(BIN)/pre-commit install

# Newest first, then what was installed is written down: run `make check` before you keep it.
constraints: $(BIN)/python  ## bring every dependency up to date and pin what was installed
	$(PIP) install --upgrade --upgrade-strategy eager -e '.[dev,track]'
	$(BIN)/python .ci/pin.py constraints.txt
	test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip --disable-pip-version-check --quiet install --upgrade \
	  --upgrade-strategy eager -e '.[bench]'
	$(VENV)-bench/bin/python .ci/pin.py constraints-bench.txt

clean:  ## remove the virtual environments and caches; runs stay
	rm -rf .venv .venv-bench .venv-lens .venv-bridge .venv-curation .pytest_cache .ruff_cache .hypothesis
