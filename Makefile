# Everything a clone needs is made on the way: `make demo` and `make test` work on a machine that
# has nothing but make and Python 3.11. All paths are relative, so the folder's own may have spaces.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/ready
WORKERS ?= 2
ARGS ?=

# Serinus is several processes: without compiled modules each would start three seconds later.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test soak stress check format bench docs deep lock clean

help:  ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' Makefile | expand -t 16

install: $(READY)  ## only make .venv with the command .venv/bin/serinus

demo: $(READY)  ## the whole loop on real data, in about two minutes (ARGS="--data FILE --target COLUMN")
	@$(PY) -m serinus demo $(ARGS)

test: $(READY)  ## all tests, on both databases (ARGS="-k name")
	@$(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

soak: $(READY)  ## ten thousand lives of deployments: people, evidence, clocks, deaths
	@$(PY) -m pytest -q -n $(WORKERS) --hypothesis-profile=soak --timeout=0 tests/delivery/test_lifecycle.py $(ARGS)

stress: $(READY)  ## what takes too long for each day: random inputs by the thousand, and all of chaos
	@$(PY) -m pytest -q -n $(WORKERS) --hypothesis-profile=stress --timeout=0 tests/serving tests/stats tests/ledger $(ARGS)
	@for what in rollout leader clock disk database rollback; do $(PY) -m serinus chaos $$what || exit 1; done

check: $(READY)  ## lint, format, types, import contracts, house rules
	@echo "== ruff"; $(PY) -m ruff check . && $(PY) -m ruff format --check .
	@echo "== mypy"; $(PY) -m mypy
	@echo "== import contracts"; $(BIN)/lint-imports --no-logo
	@echo "== house rules"; $(PY) -m pytest -q tests/test_house.py

format: $(READY)  ## put the code into the house's form
	@$(PY) -m ruff check --fix-only . && $(PY) -m ruff format .

bench: $(READY)  ## every bar of the gateway, on a quiet machine (ARGS="--peers --check")
	@$(PY) -m serinus bench serve $(ARGS)

docs: $(READY)  ## run every block of the documents
	@$(PY) -m pytest -q tests/test_docs.py

# Which build of PyTorch this is, is up to pip's own configuration; the processor's will do.
DEEP := keras==3.15.1 onnxscript==0.7.2 onnx-ir==1.1.0 h5py==3.16.0 namex==0.1.0 optree==0.20.0 absl-py==2.5.1

deep: $(READY)  ## PyTorch and Keras, for those who serve or test their models
	@$(PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps $(DEEP)

lock: $(READY)  ## compile requirements/ again from pyproject.toml
	@for extra in base dev; do \
	  $(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url --no-header --python-version 3.11 \
	    $$(test $$extra = dev && echo --extra dev) pyproject.toml -o requirements/$$extra.txt || exit 1; \
	done

clean:  ## remove what make made (never the state of an installation)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml requirements/dev.txt
	@for candidate in python3.11 python3 python; do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Serinus needs Python 3.11 or newer, found: $$(python3 --version 2>&1)." >&2; \
	  echo "Install it (on Debian: apt-get install python3.11 python3.11-venv) and try again." >&2; \
	  exit 1; \
	fi; \
	if [ ! -x $(PY) ]; then \
	  echo "Making .venv with $$($$found --version) ..."; \
	  $$found -m venv .venv || { \
	    echo "Python's venv is missing (on Debian: apt-get install python3-venv)." >&2; exit 1; }; \
	fi
	@echo "Installing the locked packages ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' requirements/dev.txt)"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(PY) -r requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(PY) --no-deps --editable .
	@touch $(READY)
