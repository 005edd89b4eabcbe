# make help lists the targets. Only git, make and Python 3.11 have to be there; everything else comes into .venv.

STATE ?= .state
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v $$p && break; done)
VENV := .venv/bin
GROUPS := airflow tasks image-tests laptop dev

# Compiled Python is kept: Airflow's start is several times slower without it.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench gate-check lock install status stop clean python images up down logs trigger test-containers

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@echo
	@echo 'make run [ONCE=1] [DATA=<folder of bars>] [CONFIG=<folder>] [STATE=<folder>, .state unless given]'

python:
	@test -n '$(PYTHON)' || { echo 'No Python 3.11 was found. Install it, or name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }

run: python ## run the chain in the terminal, then stay up (ONCE=1: stop after the verdict)
	@$(PYTHON) laptop/bootstrap.py laptop
	@exec $(VENV)/python -m laptop run --state '$(STATE)' $(if $(DATA),--data '$(DATA)') $(if $(CONFIG),--config '$(CONFIG)') $(if $(filter-out 0,$(ONCE)),--once)

status: ## what runs, where, and how the last run ended
	@test -x $(VENV)/python || { echo 'Nothing is installed, nothing runs.'; exit 0; }; exec $(VENV)/python -m laptop status --state '$(STATE)'

stop: ## stop everything `make run` started
	@test -x $(VENV)/python || { echo 'Nothing is installed, nothing runs.'; exit 0; }; exec $(VENV)/python -m laptop stop --state '$(STATE)'

clean: ## delete STATE and the caches, after saying what that is (DRY_RUN=1: only say it)
	@test -x $(VENV)/python || { echo 'Nothing is installed, nothing to clean.'; exit 0; }; exec $(VENV)/python -m laptop clean --state '$(STATE)' $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

install: python ## install everything the checks need into .venv
	@$(PYTHON) laptop/bootstrap.py dev

test: lint ## lint, types, import rules, then all tests
	$(VENV)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: install ## lint, types and import rules
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/lint-imports

format: install ## write the code as the linter wants it
	$(VENV)/ruff check --fix
	$(VENV)/ruff format

bench: python ## measure speed beside well-known peers
	@$(PYTHON) laptop/bootstrap.py bench
	$(VENV)/python -m bench

gate-check: python ## measure the gate's error rates on simulated markets (FULL=1: break-even markets too)
	@$(PYTHON) laptop/bootstrap.py laptop
	@exec $(VENV)/python -m gatecheck --state '$(STATE)' $(if $(filter-out 0,$(FULL)),--full)

COMPOSE = $(PYTHON) -m compose
STACK_OPTIONS = $(if $(STACK),--stack '$(STACK)') $(if $(PORT),--port '$(PORT)') $(if $(METRICS_PORT),--metrics-port '$(METRICS_PORT)') \
	$(if $(filter-out 0,$(SCALE)),--scale) $(if $(filter-out 0,$(METRICS)),--metrics) $(if $(STORAGE),--storage '$(STORAGE)') \
	$(if $(ENVIRONMENT),--environment '$(ENVIRONMENT)') $(if $(PROMETHEUS_PORT),--prometheus-port '$(PROMETHEUS_PORT)') $(if $(GRAFANA_PORT),--grafana-port '$(GRAFANA_PORT)')

images: python ## build the container images and say how large they are (METRICS=1: Prometheus too)
	@exec $(COMPOSE) images $(if $(filter-out 0,$(METRICS)),--metrics)

up: python ## start the whole system in containers (CONFIG=<folder>, ENVIRONMENT=prod, SCALE=1: two Celery workers, STORAGE=s3, METRICS=1: Prometheus and Grafana, PORT=8080)
	@exec $(COMPOSE) up $(STACK_OPTIONS) $(if $(CONFIG),--config '$(CONFIG)')

down: python ## stop the containers (DELETE=1: their data too, DRY_RUN=1: only say it)
	@exec $(COMPOSE) down $(STACK_OPTIONS) $(if $(filter-out 0,$(DELETE)),--delete) $(if $(filter-out 0,$(DRY_RUN)),--dry-run)

logs: python ## follow the containers' logs (SERVICE=<name>)
	@exec $(COMPOSE) logs $(STACK_OPTIONS) $(SERVICE)

trigger: python ## start the chain in the containers (FLOW=core_retrain_flow, CONF='{"reason": "…"}', FOLLOW=1)
	@exec $(COMPOSE) trigger $(STACK_OPTIONS) $(if $(FLOW),--flow '$(FLOW)') $(if $(CONF),--conf '$(CONF)') $(if $(filter-out 0,$(FOLLOW)),--follow)

test-containers: install ## build the images, then test the system in containers (needs Docker; TESTS=<files>)
	@exec $(COMPOSE) images
	$(VENV)/python -m pytest -v $(or $(TESTS),tests/containers)

# The widest group first: the others are held to its versions, so that they agree.
COMPILE = $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

lock: python ## compile pinned, hashed requirements from pyproject.toml
	@$(PYTHON) laptop/bootstrap.py uv
	$(COMPILE) --group bench --output-file requirements/bench.txt pyproject.toml
	@set -e; for group in $(GROUPS); do echo "requirements/$$group.txt"; \
		$(COMPILE) --constraints requirements/bench.txt --group $$group --output-file requirements/$$group.txt pyproject.toml; done
