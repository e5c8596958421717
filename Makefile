# The commands that a person needs. `make` alone lists them.
.DEFAULT_GOAL := help
FLOWS := pretrain corpus tokenizer tokens train evaluate register
.PHONY: help $(FLOWS) evaldata stack chat test test-slow lint clean

PYTHON ?= python3
EXTRAS ?=
VENV := .venv
BIN := $(VENV)/bin
PYTEST = $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
# Tests sync tens of thousands of small files and databases: a disk takes milliseconds for each, memory none.
MEMORY = $(shell df --output=avail,target /dev/shm 2>/dev/null | awk '$$1 > 4000000 && $$2 == "/dev/shm" {print $$2}')
RECIPE ?= tiny
STORE ?=
EVAL_DATA ?=
DIR ?=
ONLY ?=
SET ?=
JOBS ?=
AUTH ?=
comma := ,
empty :=
space := $(empty) $(empty)
unexport RECIPE STORE EVAL_DATA DIR SET  # make would expand a $(...) in them for the environment
# The text of a variable as it was given, as one word of the shell. SET holds such words already.
quoted = '$(subst ','\'',$(value $(1)))'
# Its name says what is installed: .pipeline-eval-perplexity.
INSTALLED = $(VENV)/.pipeline$(if $(value EVAL_DATA),-eval)$(subst $(space),,$(addprefix -,$(subst $(comma),$(space),$(EXTRAS))))

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  RECIPE=7b      another recipe        STORE=s3://bucket/prefix   another store"
	@echo "  EVAL_DATA=DIR  benchmarks' files     SET='train.lr=1e-3 ...'    other values"
	@echo "  DIR=FOLDER     where evaldata fetches them     ONLY='piqa boolq'   of these benchmarks alone"
	@echo "  EXTRAS=NAMES   more libraries: perplexity (llama-v1 and larger need it), dask, ray"
	@echo "  JOBS=4         files of tests that run at once (3, slow ones 2)     AUTH=yes   a stack that asks for a login"

pretrain: ## text to a registered model, recipe tiny: five minutes, no network
corpus: ## as far as the corpus; so do tokenizer, tokens, train, evaluate and register
$(FLOWS): $(INSTALLED)
	@$(BIN)/python -m flows $(call quoted,RECIPE) --flow $@ $(value SET) \
	  $(if $(value STORE),--store $(call quoted,STORE)) \
	  $(if $(value EVAL_DATA),evaluate.data=$(call quoted,EVAL_DATA))

evaldata: $(INSTALLED) ## the benchmarks' files into DIR, for EVAL_DATA: go on, check, say what is missing
	@$(if $(value DIR),,$(error DIR is missing: make evaldata DIR=/data/benchmarks))
	@$(BIN)/python -m llama_core.evaluate.evaldata $(call quoted,DIR) $(value ONLY)

stack: $(INSTALLED) ## Prefect, MLflow and a worker for daily use; Ctrl-C stops them
	@$(BIN)/python -m infra.stack $(if $(filter yes,$(AUTH)),--auth,$(if $(filter-out no,$(AUTH)),$(error AUTH is yes or no)))

chat: $(INSTALLED)-ui ## a page to talk to the registered models: in the browser, on this machine alone
	@$(BIN)/python -m llama_core.generate.page

test: $(VENV)/.test lint ## the tests that run in minutes
	$(if $(MEMORY),PYTEST_DEBUG_TEMPROOT=$(MEMORY)) $(PYTEST) --numprocesses $(or $(JOBS),3) -m "not slow and not gpu"

test-slow: $(VENV)/.test ## chaos, long distributed and whole-system tests
	$(PYTEST) --numprocesses $(or $(JOBS),2) -m "slow and not gpu"

lint: $(VENV)/.test ## style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers $(or $(JOBS),2) || { test $$? -gt 1 && $(BIN)/mypy; }  # its workers may crash, with 2

clean: ## remove what runs have made here (var/), not the environment
	rm -rf var

# The environment: what a target needs is installed when pyproject.toml changes.
$(INSTALLED) $(INSTALLED)-ui $(VENV)/.test: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "error: Python 3.11 or 3.12 is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once, two to four minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --editable '.[$(subst -,$(comma),$(patsubst .%,%,$(notdir $@)))]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # on all cores; some files are for other Pythons
	@touch $@
