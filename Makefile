# The targets that people use; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run serve test torture nightly bench check scan screenshots lock image sbom

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

install: $(VENV)/installed ## make .venv with what the product needs to run

run: install ## the demo: app, sandbox Spectrum and mailbox, until Ctrl-C (OIDC=yes: with a company sign-in; MAIL_AUTH=oauth or graph)
	@exec $(BIN)/python -m dev.sandbox.run

serve: install ## the production server, with the settings of the environment
	@exec $(BIN)/gunicorn --config gunicorn.conf.py 'app:create_app()'

test: $(VENV)/installed-dev ## all tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

torture: $(VENV)/installed-dev ## kills at random and each fault alone, then a table of what became of them (KILLS=20 PROJECTS=30: a short one)
	@PYTHONPATH=.:tests $(BIN)/python dev/torture.py

nightly: $(VENV)/installed-dev ## the search for events that break a promise, at length, and the installer on each system (MIRROR=…: Ubuntu's)
	@SYSTEMS="bookworm trixie noble" $(BIN)/python -m pytest tests/deploy/test_install.py
	@STATE_MACHINE_EXAMPLES=2000 $(BIN)/python -m pytest tests/services/test_state_machine.py tests/services/test_update_property.py

bench: install ## the tables of docs/performance.md (SIZES=100,10000: a quick one; OPTIONS=--help)
	@$(BIN)/python -m dev.bench $(if $(SIZES),--sizes $(SIZES)) $(OPTIONS)

check: $(VENV)/installed-dev ## format, lint, types and security, as CI runs them
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml .

scan: $(VENV)/installed-dev ## a vulnerability scanner, wapiti, against the real server behind the real proxy
	@PYTHONPATH=.:tests $(BIN)/python dev/scan.py

screenshots: $(VENV)/installed-dev ## the README's pictures, from the running product
	@PYTHONPATH=.:tests $(BIN)/python -m pytest -p conftest dev/screenshots.py

image: ## an OCI image of the product, countersign:<version>, by docker or podman (BASE=…: on another base)
	@BASE='$(BASE)' deploy/build-image

sbom: install ## a bill of materials in CycloneDX, with the licenses, into sbom.json
	@$(BIN)/python -m dev.sbom >sbom.json

lock: ## requirements.txt and requirements-dev.txt from the .in files beside them
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	@for each in requirements requirements-dev; do CUSTOM_COMPILE_COMMAND='make lock' $(VENV)/lock/bin/pip-compile \
	  --quiet --strip-extras --generate-hashes --allow-unsafe --no-annotate \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links $$each.in || exit 1; done
