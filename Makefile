# Two commands matter: `make demo` shows the product working, `make test` proves it. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
VENV := $(ROOT).venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	>/dev/null 2>&1 && echo $$p && break; done)
UV_VERSION := 0.13.9
PLAYWRIGHT_VERSION := 1.65.2
STAMP := $(VENV)/.installed
# Written bytecode makes a quarter of every start; some machines turn it off.
unexport PYTHONDONTWRITEBYTECODE
# For a machine of two cores: two start with what waits for processes, leases and clocks, two with what computes.
TEST_WORKERS ?= 4
# What takes long starts first, so that nothing long is left for the end.
PYTEST := $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder --durations=50
IMAGES := api backup dispatcher guard knowledge customer_operations models multimodal research
# With podman: make images BUILD="podman build --format docker", make compose-up BUILD=… COMPOSE=podman-compose
BUILD ?= docker build
COMPOSE ?= docker compose
REVISION := $(shell git -C $(ROOT) rev-parse --short HEAD 2>/dev/null || echo unknown)
TAG ?= latest

.PHONY: help setup lock demo up images compose-up compose-test test quick test-pgbouncer test-tls survive compat observe-test chaos bench evals outside \
	observe-traces observe-lock console-shots \
	chart-test kube-test azure-test azure-lock lint types contracts check format clean

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[36mmake %-15s\033[0m %s\n", $$1, $$2}'

setup: $(STAMP) ## Create the environment from the lock (.venv); the other targets do it when needed

# uv lives in the environment it fills, so that a bare machine needs only python3 with venv. Bytecode is compiled here,
# once, because the first start of every process would otherwise pay for it.
$(STAMP): $(ROOT)requirements.lock $(ROOT)pyproject.toml
	@test -n "$(PYTHON)" || { echo "Waybill needs Python 3.11, 3.12 or 3.13 with the venv module (Debian: apt install python3-venv). Then run this again."; exit 1; }
	@test -x $(BIN)/python || { echo "creating $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing the locked packages"
	@cd $(ROOT) && VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@cd $(ROOT) && VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@cd $(ROOT) && $(BIN)/python -m compileall -q -j 0 $(VENV)/lib api core pipelines waybill workers >/dev/null 2>&1 || true
	@touch $@

lock: ## Resolve pyproject.toml again into requirements.lock, and from it the locks of the images
	@test -x $(BIN)/uv || $(MAKE) setup
	cd $(ROOT) && $(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --quiet --custom-compile-command 'make lock' --output-file requirements.lock
	cd $(ROOT) && for image in $(IMAGES); do $(BIN)/uv pip compile pyproject.toml --extra $$image --extra azure \
		--constraint requirements.lock --python-platform x86_64-manylinux_2_28 --python-version 3.13 --generate-hashes \
		--no-emit-index-url --no-annotate --quiet --custom-compile-command 'make lock' \
		--output-file infra/images/$$image.lock || exit 1; done

demo: $(STAMP) ## Start everything, ingest the sample documents, answer a question with citations, and end
	@$(BIN)/waybill demo

up: $(STAMP) ## Start everything and keep it running until Ctrl-C
	@$(BIN)/waybill up

images: ## Build the container images: of the API, of backups, of the dispatcher, of the guard and of each worker pool
	@cd $(ROOT) && for image in $(IMAGES); do \
		case $$image in api|backup) name=$$image build="Dockerfile.$$image" ;; \
			*) name=worker-$$image build="Dockerfile.worker --build-arg POOL=$$image" ;; esac; \
		echo "building localhost/waybill-$$name:$(TAG)"; \
		$(BUILD) --build-arg REVISION=$(REVISION) --tag localhost/waybill-$$name:$(TAG) --file $$build . || exit 1; done

compose-up: images ## Start the whole product in containers on this host (docs/howto/run-on-one-host.md)
	@$(ROOT)infra/compose/make-secrets.sh
	@cd $(ROOT) && WAYBILL_TAG=$(TAG) $(COMPOSE) up --detach

compose-test: $(STAMP) ## Build the images with podman, bring compose.yaml up, check it and provoke failures
	@cd $(ROOT) && $(BIN)/python -m tests.containers $(ARGS)

test: $(STAMP) ## Run the test suite on real Postgres, Valkey and Celery workers
	@mkdir -p $(ROOT)build && cd $(ROOT) && set -o pipefail && $(PYTEST) -m "not slow" $(ARGS) | tee build/test.log

quick: $(STAMP) ## Run what needs no processes of the product, crews or fuzzing: the inner loop
	@mkdir -p $(ROOT)build && cd $(ROOT) && set -o pipefail && \
		$(PYTEST) -m "not slow and not stack and not heavy" $(ARGS) | tee build/quick.log

test-pgbouncer: $(STAMP) ## Run the suite through PgBouncer in transaction mode (Debian: apt install pgbouncer)
	@PATH=$$PATH:/usr/sbin command -v pgbouncer >/dev/null || { echo "PgBouncer is missing (Debian: apt install pgbouncer). Then run this again."; exit 1; }
	@mkdir -p $(ROOT)build && cd $(ROOT) && set -o pipefail && \
		WAYBILL_TEST_SERVERS=pgbouncer WAYBILL_DATABASE_PREPARED_STATEMENTS=false \
		$(PYTEST) -m "not slow" $(ARGS) | tee build/test-pgbouncer.log

test-tls: $(STAMP) ## Run the suite over TLS to Postgres and Valkey, with certificates of its own
	@mkdir -p $(ROOT)build && cd $(ROOT) && set -o pipefail && \
		WAYBILL_TEST_SERVERS=tls $(PYTEST) -m "not slow" $(ARGS) | tee build/test-tls.log

survive: $(STAMP) ## Run the list of failures to survive in its long form and print a table
	@cd $(ROOT) && $(BIN)/python -m tests.survive $(ARGS)

chaos: survive ## The same as survive

observe-test: $(STAMP) ## Run every query of the dashboards, break what alerts are for (Debian: prometheus prometheus-alertmanager)
	@cd $(ROOT) && $(BIN)/python -m tests.observe $(ARGS)

compat: $(STAMP) ## Upgrade from the release before under load: it runs on the newer schema, and loses no job (ARGS=REVISION)
	@cd $(ROOT) && $(BIN)/python -m tests.compat $(ARGS)

bench: $(STAMP) ## Measure against a naive baseline; writes build/bench.json
	@cd $(ROOT) && $(BIN)/python -m tests.bench

outside: $(STAMP) ## Run outside clients of OpenAI's interface and generated ones of /v1 against a running stack
	@cd $(ROOT) && $(BIN)/python -m tests.outside $(ARGS)

# In an environment of its own: a driver of 190 MB that only pictures and one test of the pages need.
console-shots: $(STAMP) ## Take pictures of the console's pages, for build/console and docs/howto/console (Debian: apt install chromium)
	@command -v chromium >/dev/null || { echo "Chromium is missing (Debian: apt install chromium). Then run this again."; exit 1; }
	@cd $(ROOT) && test -x build/playwright/bin/python || { $(PYTHON) -m venv build/playwright && \
		build/playwright/bin/python -m pip install --quiet --disable-pip-version-check playwright==$(PLAYWRIGHT_VERSION) axe-playwright-python==0.1.7; }
	@cd $(ROOT) && export PYTHONPATH=$$(echo build/playwright/lib/python3*/site-packages) && \
		$(BIN)/python -m tests.console && $(BIN)/python -m pytest tests/api/console/test_browser.py $(ARGS)

# In environments of their own: checkov wants other versions than the product, and neither needs the other.
azure-test: ## Check infra/azure and the workflows against the provider's schema, checkov and actionlint; applies nothing
	@cd $(ROOT) && for part in check checkov; do \
		test -x build/azure/$$part/bin/python || $(PYTHON) -m venv build/azure/$$part || exit 1; \
		build/azure/$$part/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
			--requirement tests/azure/$$part.lock || exit 1; \
	done
	@cd $(ROOT) && version=$$(sed 's/.*==//' tests/azure/schema.in) && \
		test -e build/azure/cdktn_provider_azurerm-$$version-py3-none-any.whl || \
		build/azure/check/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
			--dest build/azure --requirement tests/azure/schema.lock
	@cd $(ROOT) && build/azure/check/bin/python -m tests.azure

azure-lock: $(STAMP) ## Resolve tests/azure/*.in again into their locks
	cd $(ROOT) && for part in check checkov schema; do $(BIN)/uv pip compile tests/azure/$$part.in --universal --generate-hashes \
		--no-emit-index-url --no-annotate --python-version 3.11 --quiet --custom-compile-command 'make azure-lock' \
		$$(test $$part != schema || echo --no-deps) --output-file tests/azure/$$part.lock || exit 1; done

# In an environment of its own: Phoenix is a check, and needs 600 MB.
observe-traces: $(STAMP) ## Run a job of each capability, kill a worker, and read its trees back from Phoenix
	@cd $(ROOT) && test -x build/phoenix/bin/python || $(PYTHON) -m venv build/phoenix
	@cd $(ROOT) && cmp -s tests/observe/phoenix.lock build/phoenix/installed.lock || \
		{ build/phoenix/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
			--requirement tests/observe/phoenix.lock && cp tests/observe/phoenix.lock build/phoenix/installed.lock; }
	@cd $(ROOT) && $(BIN)/python -m tests.observe.traces $(ARGS)

observe-lock: $(STAMP) ## Resolve tests/observe/phoenix.in again into its lock
	cd $(ROOT) && $(BIN)/uv pip compile tests/observe/phoenix.in --universal --generate-hashes --no-emit-index-url \
		--no-annotate --python-version 3.11 --quiet --custom-compile-command 'make observe-lock' \
		--output-file tests/observe/phoenix.lock

evals: $(STAMP) ## Score every capability on its evaluation set
	@cd $(ROOT) && $(BIN)/python -m tests.evals $(ARGS)

chart-test: $(STAMP) ## Render the Helm chart, and check what it makes (installs its tools into build/tools)
	@cd $(ROOT) && $(BIN)/python -m tests.chart.tools && WAYBILL_CHART_TOOLS=1 $(BIN)/python -m pytest tests/chart $(ARGS)

kube-test: $(STAMP) ## Install, upgrade, undo and evict on a real control plane (builds it first; Debian, root)
	@cd $(ROOT) && $(BIN)/python -m tests.chart.tools && tests/cluster/build.sh build/tools/kubernetes && \
		WAYBILL_CLUSTER_TOOLS=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

check: lint types contracts ## Lint, types and import contracts

lint: $(STAMP) ## ruff, as linter and as formatter
	@cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	@cd $(ROOT) && $(BIN)/mypy

contracts: $(STAMP) ## Who may import whom
	@cd $(ROOT) && $(BIN)/lint-imports

format: $(STAMP) ## Rewrite the code in the one format
	@cd $(ROOT) && $(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

clean: ## Remove the environment and everything built
	rm -rf $(VENV) $(ROOT)build
