# Everything a developer or an operator types. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run unit test mutants process race faults contract postman screenshots bench lint lint-web audit format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run ## install what the service needs, and start it on 127.0.0.1:5000
	@exec $(BIN)/python root.py

test: .venv/.dev ## install what the tests need, and run them (about a minute; COVERAGE=1 measures branches)
	$(BIN)/pytest $(PARALLEL) -m "not long" $(if $(COVERAGE),--cov)

unit: .venv/.dev ## the quick loop: the tests that need no MongoDB (about 20 seconds)
	$(BIN)/pytest $(PARALLEL) -m "not slow and not long"

mutants: .venv/.dev .venv/.maintain ## change a module in many small ways, and show what no test notices (MODULE=…, perhaps TESTS=…)
	$(BIN)/python -m tests.mutants $(or $(MODULE),$(error Name a module: make mutants MODULE=app/domain/showings.py)) $(TESTS)

process: .venv/.dev ## the service as processes: starts, stops, signals, connections, other servers, upgrades
	$(BIN)/pytest $(PARALLEL) tests/e2e
	$(BIN)/pytest $(PARALLEL) -m long

race: .venv/.dev ## the races at full length: 20 rounds of each, and a minute of random traffic
	$(BIN)/pytest $(LONG) tests/race --rounds 20 --churn-seconds 60

REPORT := docs/faults.md
PICTURES := docs/screenshots

faults: .venv/.dev ## break nodes, connections, workers and disks under load (writes docs/faults.md)
	$(BIN)/pytest $(LONG) -rs tests/faults --rounds 10 --report $(REPORT)

contract: .venv/.dev docs/node_modules/.done ## lint the OpenAPI document, and check a live service against it
	$(BIN)/pytest $(LONG) -s tests/contract/test_openapi_linters.py tests/contract/test_schemathesis.py

postman: .venv/.dev docs/node_modules/.done ## the Postman collection, twice (URL=… for your own service)
	$(BIN)/pytest $(LONG) -s tests/contract/test_postman.py --url "$(URL)"

screenshots: .venv/.dev docs/node_modules/.done ## the pages in a real browser, and the pictures in docs/screenshots
	$(BIN)/pytest $(LONG) -s tests/contract/test_browser.py tests/browser --pictures $(PICTURES)

bench: .venv/.dev .venv/.bench ## compare its speed with other ways to build it (20 minutes; writes docs/benchmarks.md)
	$(BIN)/python -m bench $(if $(AGAINST),--against "$(AGAINST)")

lint: .venv/.dev ## check style and types, the shell scripts, and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck .ci/*
	! command -v $(BIN)/hadolint >/dev/null || $(BIN)/hadolint deploy/Dockerfile

lint-web: docs/node_modules/.done ## check the style of JavaScript, CSS and Markdown
	npm run --prefix docs --silent lint

audit: .venv/.maintain docs/node_modules/.done ## list all parts (build/sbom.json), and look for vulnerabilities
	.ci/audit

format: .venv/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.maintain ## pin the newest versions that pyproject.toml allows, with their hashes
	$(UV) --output-file requirements.txt pyproject.toml
	$(UV) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(UV) --extra bench --constraint requirements-dev.txt --output-file requirements-bench.txt pyproject.toml
	$(UV) --extra maintain --constraint requirements-dev.txt --output-file requirements-maintain.txt pyproject.toml

UV := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

clean: ## remove what was installed (the tickets in data/ stay)
	rm -rf .venv build docs/node_modules .pytest_cache .mypy_cache .ruff_cache .coverage

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Box Office needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

docs/node_modules/.done: docs/package-lock.json
	npm ci --prefix docs --no-progress
	@touch $@

.venv/.run: requirements.txt | .venv/bin/python
	@echo "Installing the service and its MongoDB into .venv: about a minute, once."
	$(INSTALL) requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt | .venv/bin/python
	@echo "Installing the service and its tests' tools into .venv: about two minutes, once."
	$(INSTALL) requirements-dev.txt
	@touch $@

.venv/.bench: requirements-bench.txt | .venv/bin/python
	$(INSTALL) requirements-bench.txt
	@touch $@

.venv/.maintain: requirements-maintain.txt | .venv/bin/python
	$(INSTALL) requirements-maintain.txt
	@touch $@

LONG := --timeout 900
PARALLEL := --numprocesses auto --maxprocesses 4
INSTALL := $(BIN)/pip install --disable-pip-version-check --require-hashes --requirement
