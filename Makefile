# Every target sets up what it needs: a virtual environment in .venv, made with PYTHON.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-agents test-agents-npm lint bench docs clean
help:            ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "intarsia needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core pyproject.toml
	$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/.agents: $(VENV)/.dev pyproject.toml
	$(INSTALL) -e '.[dev,testing,real-agents]'
	@touch $@

demo: $(VENV)/.core   ## four scripted agents work through a sample project
	@$(BIN)/python -m intarsia.demo

test: $(VENV)/.dev lint   ## all tests, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n auto -q

test-agents: $(VENV)/.agents   ## the real Claude Code and Codex, with scripted models; no key, no internet, 800 MB to install
	$(BIN)/python -m pytest -n auto -q tests/real_agents

# Those that bring a program of their own, and two that use the programs of the Python wheels.
NPM_PROGRAMS := @google/gemini-cli@0.61.0 @github/copilot@1.0.102 opencode-ai@1.18.33
NPM_ADAPTERS := @agentclientprotocol/claude-agent-acp@0.100.0 @agentclientprotocol/codex-acp@2.6.0
NPM_INSTALL := npm install --no-audit --no-fund --loglevel=error

$(VENV)/npm/.installed: Makefile | $(VENV)/.dev
	@mkdir -p $(VENV)/npm/programs $(VENV)/npm/adapters
	$(NPM_INSTALL) --prefix $(VENV)/npm/programs $(NPM_PROGRAMS)
	$(NPM_INSTALL) --prefix $(VENV)/npm/adapters --omit=optional $(NPM_ADAPTERS)
	@touch $@

test-agents-npm: $(VENV)/.agents $(VENV)/npm/.installed   ## Gemini CLI, Copilot, OpenCode and two adapters, the same way; needs npm, 1 GB
	$(BIN)/python -m pytest -n auto -q tests/npm_agents

lint: $(VENV)/.dev   ## types, style and the direction of imports
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev   ## the measured speed claims
	$(BIN)/python -m benchmarks

docs: $(VENV)/.core   ## the generated part of docs/reference
	$(BIN)/python -m intarsia.cli.reference docs/reference

clean:   ## remove what the other targets made
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .hypothesis
