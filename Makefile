# `make` lists the targets. Each one updates .venv first if pyproject.toml or constraints.txt changed. Nothing is installed
# outside this folder.

.DEFAULT_GOAL := help
BIN := .venv/bin
STAMP := .venv/installed
PORT ?= 3000
# Test processes. Three keep two cores busy: one of them is always waiting for a server.
WORKERS ?= 3

# Compiled files are kept: without them every command starts several seconds later.
unexport PYTHONDONTWRITEBYTECODE
export DAGSTER_DISABLE_TELEMETRY := yes
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The sandbox's settings, exported for the rest of the recipe line; they win over those of .env. So does an empty
# DAGSTER_HOME: the sandbox's runs belong to this folder's instance, not to one that .env names.
WITH_SANDBOX = $(BIN)/klaviyo-assets sandbox start && settings="$$($(BIN)/klaviyo-assets sandbox env)" && \
	set -a && eval "$$settings" && DAGSTER_HOME="$${DAGSTER_HOME-}" && set +a

.PHONY: help setup run ui test test-slow test-live lint format docs bench pins clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F ': ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv with everything, at the versions in constraints.txt

run: $(STAMP) ## start the local servers and run the whole pipeline over everything that changed
	@$(WITH_SANDBOX) && $(BIN)/klaviyo-assets run

ui: $(STAMP) ## start the local servers and the Dagster UI on 127.0.0.1:3000, or the next free port (PORT=...)
	@$(WITH_SANDBOX) && $(BIN)/python -m klaviyo_assets.defs.environment && \
	port="$$($(BIN)/python -c 'import socket; print(next(p for p in range($(PORT), 65536) if socket.socket().connect_ex(("127.0.0.1", p))))')" && \
	echo "Dagster UI: http://127.0.0.1:$$port (Ctrl-C stops it; klaviyo-assets sandbox stop stops the servers)" && \
	exec $(BIN)/dagster dev --host 127.0.0.1 --port "$$port"

test: $(STAMP) ## run every test that is neither slow nor live
	@$(BIN)/python -m pytest -m "not slow and not live" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP) ## run the tests that take real time or many examples
	@$(BIN)/python -m pytest -m "slow and not live"

test-live: $(STAMP) ## run the tests against real accounts; they need the settings of .env.example
	@$(BIN)/python -m pytest -m live

# The code location is validated from an empty folder with an empty environment, because loading must need neither settings
# nor a network.
lint: $(STAMP) ## check style, types, import contracts and spelling, and that the code location loads
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	@here="$$PWD" && empty="$$(mktemp -d)" && cd "$$empty" && \
	env -i PATH="$$PATH" HOME="$$empty" DAGSTER_DISABLE_TELEMETRY=yes \
	"$$here/$(BIN)/dagster" definitions validate -m klaviyo_assets.definitions; found=$$?; rm -rf "$$empty"; exit $$found

format: $(STAMP) ## format the code and fix what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## rewrite what is generated from the code: docs/tables.md, docs/looker_studio.md, docs/reliability.md, the lineage
	@$(BIN)/python -m klaviyo_assets.documentation

bench: $(STAMP) ## measure import time and the pipeline's throughput
	@$(BIN)/python -m klaviyo_assets_tests.benchmarks

pins: ## rewrite constraints.txt with the newest versions that pyproject.toml allows
	@rm -rf .venv-pins && $(FIND_PYTHON) && "$$python" -m venv .venv-pins && \
	.venv-pins/bin/python -m pip install --quiet --editable '.[sandbox,dev]' && \
	{ sed -n '/^#/p' constraints.txt; .venv-pins/bin/python -m pip freeze --exclude-editable; } > .venv-pins/pins && \
	mv .venv-pins/pins constraints.txt; found=$$?; rm -rf .venv-pins; exit $$found

clean: ## stop the local servers and remove everything that was created here, including their data
	@if [ -x $(BIN)/klaviyo-assets ] && [ -d .sandbox ]; then $(BIN)/klaviyo-assets sandbox reset --yes; fi
	rm -rf .venv .venv-pins .dagster .tmp_dagster_home_* build *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find klaviyo_assets klaviyo_assets_tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Sets $python to the newest Python from 3.11 to 3.13 that can create virtual environments, or says what is missing.
FIND_PYTHON = python=; bare=; for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then python="$$name"; break; fi; bare="$${bare:-$$name}"; done; \
	if [ -z "$$python" ] && [ -n "$$bare" ]; then \
	echo "$$bare cannot create virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; fi; \
	if [ -z "$$python" ]; then echo "Python 3.11, 3.12 or 3.13 is needed and not on the PATH (python3 is: $$(python3 \
	--version 2>&1)). On Debian: sudo apt-get install python3 python3-venv. On macOS: brew install python@3.13" >&2; exit 1; fi

$(STAMP): pyproject.toml constraints.txt
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then $(FIND_PYTHON); \
	echo "Creating .venv with $$python; the first time this takes a few minutes." && "$$python" -m venv --clear .venv; fi
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[sandbox,dev]'
	@touch $(STAMP)
