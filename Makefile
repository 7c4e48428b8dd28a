# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo refresh ui lab bench widgets pages test check format clean

help: ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Create the environment in .venv and install everything

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version); name another: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED)

demo: $(INSTALLED) ## Train and evaluate the built-in scene (minutes; again: seconds)
	@$(BIN)/splatworks materialize demo

refresh: $(INSTALLED) ## Run what a change made stale (options: make refresh ARGS='demo --dry-run')
	@$(BIN)/splatworks refresh $(ARGS)

ui: $(INSTALLED) ## Open the Dagster UI on 127.0.0.1:3000
	@$(BIN)/splatworks ui

lab: $(INSTALLED) ## Open JupyterLab on 127.0.0.1:8888
	@$(BIN)/splatworks lab

bench: $(INSTALLED) ## Measure the renderer on this machine (options: make bench ARGS=--json)
	@$(BIN)/splatworks bench $(ARGS)

widgets: ## Bundle the browser's half of the widgets (needs Node; the bundle is kept in git)
	@npm --prefix notebooks/widgets/js ci --silent
	@npm --prefix notebooks/widgets/js run --silent build

pages: $(INSTALLED) ## Run the notebooks on your results; writes docs/notebooks (needs demo/mipmap)
	@$(BIN)/python -m notebooks.publish notebooks/0*.ipynb docs/notebooks

test: $(INSTALLED) check ## Run all checks and tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) ## Lint, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(INSTALLED) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove the environment and caches (not your scenes and results)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
