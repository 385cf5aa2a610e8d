# Everything runs inside .venv-<version of PYTHON>, made from nothing but Python >= 3.11 and make, so that
# `make test PYTHON=/path/to/python3.13` never uses what another interpreter installed.
# pip reads its own configuration (pip.conf, PIP_INDEX_URL, PIP_FIND_LINKS, ...): that is where to choose
# the CPU or the CUDA build of torch; see README, "Which torch".
PYTHON ?= python3
VERSION := $(shell $(PYTHON) -c 'import platform, sys; print(platform.python_version() + sys.abiflags)' 2>/dev/null)
ifeq ($(VERSION),)
  $(error PYTHON must be a Python interpreter, $(PYTHON) does not answer; try make PYTHON=python3.11)
endif
VENV   ?= .venv-$(VERSION)
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

# pytest rewrites the asserts of 270 modules: written once, not in every worker of every run
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-fast lint types docs bench bench-gpu check clean bin

demo: $(VENV)/demo.stamp  ## compare methods on real long-tailed digits
	$(BIN)/longtail compare

test: $(VENV)/dev.stamp  ## the whole test suite
	OMP_NUM_THREADS=1 $(PYTEST) -n auto --dist worksteal -q

test-fast: $(VENV)/dev.stamp  ## without the tests that compile, start processes, train for long or import other frameworks
	OMP_NUM_THREADS=1 $(PYTEST) -n auto --dist worksteal -q -m "not slow" --ignore tests/integrations

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

docs: $(VENV)/dev.stamp  ## regenerate the tables that README and docs take from the code
	$(BIN)/python -m tests.documents

bench: $(VENV)/dev.stamp  ## all speeds that a CPU can measure, 50 minutes; interrupted, it goes on: make bench BENCH="--list"
	$(BIN)/python -m benchmarks.all $(BENCH)

bench-gpu: $(VENV)/dev.stamp  ## everything for a GPU, 8 minutes: make bench-gpu DATA=cifar10-lt-100.npz
	KINETO_LOG_LEVEL=99 $(BIN)/python -m benchmarks.gpu --data $(DATA) $(BENCH)

check: lint types test  ## what CI runs

bin:  ## where the tools of this interpreter's environment stand
	@echo $(BIN)

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "longtail needs Python >= 3.11, $(PYTHON) is $$($(PYTHON) -V 2>&1); try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch first and alone: whichever build pip's configuration offers is then kept by everything after it
$(VENV)/torch.stamp: constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt torch
	@touch $@

$(VENV)/demo.stamp: pyproject.toml $(VENV)/torch.stamp
	$(PIP) install -q -c constraints.txt -e ".[all]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/torch.stamp
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/demo.stamp
