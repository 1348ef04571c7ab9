# The targets that people use; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run serve test torture nightly check screenshots

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: $(VENV)/installed ## make .venv with what the product needs to run

run: install ## the demo: app, sandbox Spectrum and sandbox mailbox, until Ctrl-C
	@exec $(BIN)/python -m sandbox.run

serve: install ## the production server, with the settings of the environment
	@exec $(BIN)/gunicorn --config gunicorn.conf.py 'app:create_app()'

test: $(VENV)/installed-dev ## all tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile

torture: $(VENV)/installed-dev ## 150 kills at random over 200 exports and 200 mails, with a table of what became of them
	@PYTHONPATH=.:tests $(BIN)/python tests/torture.py

nightly: $(VENV)/installed-dev ## the search for a sequence of events that breaks a promise, at length
	@STATE_MACHINE_EXAMPLES=2000 $(BIN)/python -m pytest tests/test_state_machine.py

check: $(VENV)/installed-dev ## format, lint, types and security, as CI runs them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml .

screenshots: $(VENV)/installed-dev ## the README's pictures, from the running product
	@$(BIN)/python -m pytest tests/screenshots.py
