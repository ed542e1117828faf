# `make setup` needs Python 3.11 to 3.13 and make. Every other target sets the environment up first, if it must.
#   make test                                  in .venv
#   make test PYTHON=python3.12                .venv made by another Python
#   make test VENV=                            the Python that PATH finds (conda, uv, docker)
#   make test VENV=$VIRTUAL_ENV                the active environment
#   make setup CONSTRAINTS=constraints/cuda12.txt TORCH_INDEX=ADDRESS    see docs/install.md

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= dev,docs
TORCH_INDEX ?=
PYTEST_ARGS ?=
# The sections that exist so far, by name; later issues extend the list.
VERIFY_ARGS ?= tests/reference only=sdar/logits,sdar/generation,sdar/training,sdar/block_diffusion_training,sdar_moe,dream/logits,dream/generation,llada/logits,llada/generation

# The driver decides: 580 and newer run CUDA 13 builds, 525 and newer CUDA 12 builds.
DRIVER := $(shell nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 | cut -d. -f1 | grep -E '^[0-9]+$$')
DEVICE := $(if $(DRIVER),$(shell if [ $(DRIVER) -ge 580 ]; then echo cuda13; elif [ $(DRIVER) -ge 525 ]; then echo cuda12; else echo cpu; fi),cpu)
CONSTRAINTS ?= constraints/$(DEVICE).txt

# An environment of the user's (VENV empty, or the active one) is used as it is; ours carries a stamp.
ACTIVE := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX))
ifeq ($(VENV),)
  PY := $(PYTHON)
  READY := users-environment
else ifeq ($(VENV),$(ACTIVE))
  PY := $(VENV)/bin/python
  READY := users-environment
else
  PY := $(VENV)/bin/python
  READY := $(VENV)/.dllm-rl-ready
endif
SCRIPTS = $(shell $(PY) -c 'import sysconfig; print(sysconfig.get_path("scripts"))')

export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help setup users-environment test test-slow lint typecheck docs demo verify clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' Makefile

setup: $(READY) ## make .venv and install the package with its development tools

$(VENV)/.dllm-rl-ready: pyproject.toml $(wildcard constraints/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c $(CONSTRAINTS) -e ".[$(EXTRAS)]"
	@touch $@

# "-P" keeps the repository's own folder off the path: the package must be installed, not merely lie here.
users-environment:
	@$(PY) -P -c 'import sys; from importlib.util import find_spec as f; sys.exit(not all(map(f, ["dllm_rl", "pytest", "xdist"])))' || \
	  if $(PY) -m pip --version >/dev/null 2>&1; then $(PY) -m pip install -e ".[$(EXTRAS)]"; \
	  else uv pip install --python "$$($(PY) -c 'import sys; print(sys.executable)')" -e ".[$(EXTRAS)]"; fi

docs: export NO_MKDOCS_2_WARNING := 1
test test-slow demo: export HF_HUB_OFFLINE := 1
test test-slow: export OMP_NUM_THREADS := 1

test: $(READY) ## the fast tests
	$(PY) -m pytest -n 2 -m "not slow and not cuda" $(PYTEST_ARGS)

test-slow: $(READY) ## the slow tests; on a machine with a GPU the cuda tests too
	$(PY) -m pytest -m "slow or cuda" $(PYTEST_ARGS)

lint: $(READY) ## style, imports between rooms
	$(PY) -m ruff check .
	$(SCRIPTS)/lint-imports

typecheck: $(READY) ## mypy
	$(PY) -m mypy

docs: $(READY) ## build the documentation into site/
	$(PY) -m mkdocs build --strict

demo: $(READY) ## train a tiny model from scratch, reinforce it, write runs/demo/report.html
	$(SCRIPTS)/dllm-rl demo

verify: $(READY) ## recompute the recorded vectors of the published code
	$(SCRIPTS)/dllm-rl verify $(VERIFY_ARGS)

clean: ## remove what tools left here; .venv stays
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
