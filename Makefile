# FraudStream: everything runs in .venv, which `make setup` makes. Needs Python 3.11 or newer, and make.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
UV ?= uv

LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	--no-emit-package nvidia-nccl-cu12 --no-emit-package nvidia-nccl-cu13
# nccl weighs 300 MB and serves only training on several GPUs.

.DEFAULT_GOAL := help
.PHONY: help setup peers demo test faults lint format lock clean

help: ## Show this
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 12

setup: $(READY) ## Install everything, with the locked versions, into .venv

$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3 setup" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is not Python 3.11 or newer" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu, install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) (the first time takes minutes)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

peers: $(PEERS)/.ready ## Install what bench.peers compares with; its Java part needs a JDK 17 and Maven

$(PEERS)/.ready: requirements/peers.txt $(READY)
	@echo "installing into $(PEERS)"
	@"$(PYTHON)" -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/peers.txt
	@touch $@

demo: $(READY) ## Run the whole job on this machine; SECONDS=… and RATE=… change it
	@$(BIN)/fraudstream demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE))

test: $(READY) ## Run the tests, with a real Kafka; ARGS=… goes to pytest
	@$(BIN)/pytest $(ARGS)

faults: $(READY) ## Do every row of the fault matrix, about half an hour; ARGS=--quick is short
	@$(BIN)/python -m bench.faults $(ARGS)

lint: $(READY) ## Check style, types, the direction of imports, YAML
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check . || { echo "error: not formatted as above; run make format" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/yamllint --strict .

format: $(READY) ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

lock: ## Resolve the locked requirements anew (needs uv)
	@command -v $(UV) >/dev/null || { echo "error: uv is not installed; pip install uv, or make UV=/path/to/uv lock" >&2; exit 1; }
	@$(LOCK) pyproject.toml --output-file requirements/worker.txt
	@$(LOCK) pyproject.toml --extra broker --extra lake --extra train --extra dev --constraints requirements/worker.txt \
		--output-file requirements/dev.txt
	@$(LOCK) --group peers --output-file requirements/peers.txt

clean: ## Remove what setup, tests and linters made
	@rm -rf $(VENV) $(PEERS) dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
