# The only door a person needs. `make help` lists the targets; longer work is in Python.
# Options are variables: make sweep SWEEP=smoke WORKERS=2. Python reads them from the environment.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# The environment always has a USER, the one who is logged in: only the one on the command line is meant.
ifeq ($(origin USER),command line)
RECSWEEP_USER := $(USER)
export RECSWEEP_USER
endif

# Some systems have a NAME in the environment, that of the machine.
ifeq ($(origin NAME),command line)
DATASET_NAME := $(NAME)
export DATASET_NAME
endif

# Names as short as these may be in any environment: only those on the command line are meant.
ifeq ($(origin N),command line)
SEARCH_TRIALS := $(N)
export SEARCH_TRIALS
endif
ifeq ($(origin BUDGET),command line)
SEARCH_MINUTES := $(BUDGET)
export SEARCH_MINUTES
endif
ifeq ($(origin SEED),command line)
SEARCH_SEED := $(SEED)
export SEARCH_SEED
endif

RECSWEEP := .venv/bin/python -m scheduler
INSTALLED := .venv/.runtime-installed
SETUP := $(INSTALLED)
SETUP_DEV := .venv/.development-installed

# From `make up` to `make down` the same commands run in the containers, and need no .venv.
STACK := $(or $(PYTHON),python3) -m scheduler.stack
ifeq ($(STATE_DIR)$(DATABASE_URL),)
ifneq ($(wildcard .env),)
ifeq ($(shell $(STACK) is-up 2>/dev/null),up)
RECSWEEP := $(STACK)
SETUP :=
endif
endif
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(INSTALLED): requirements.lock .venv/bin/python
	@scheduler/machine/venv.sh $< $@

$(SETUP_DEV): requirements-dev.lock .venv/bin/python
	@scheduler/machine/venv.sh $< $@ $(INSTALLED)

# It leads to the system's Python: where that is gone, nothing counts as installed.
.venv/bin/python:
	@rm -f $(INSTALLED) $(SETUP_DEV)

.PHONY: setup
setup: $(INSTALLED) ## build .venv (every other target does so when needed)

.PHONY: up
up: ## start the stack in containers (docker-compose) [WORKERS=n]
	@$(STACK) up

.PHONY: data
data: $(SETUP) ## describe a data set and what a sweep would cost [DATASET=ml-1m or ratings.csv SWEEP=name SEARCH=tpe N=40]
	@$(RECSWEEP) data

.PHONY: sweep
sweep: $(SETUP) ## train all architectures [SWEEP=reference DATASET=ml-1m or ratings.csv NAME=n SEARCH=tpe N=40 STOPPING=successive_halving FRESH=1 WORKERS=n DRY_RUN=1]
	@$(RECSWEEP) sweep

.PHONY: status
status: $(SETUP) ## services, workers, progress of the sweeps
	@$(RECSWEEP) status

.PHONY: cancel
cancel: $(SETUP) ## stop the running sweep and its refits; make sweep resumes it
	@$(RECSWEEP) cancel

.PHONY: leaderboard
leaderboard: $(SETUP) ## trials of the latest sweep, best first [SWEEP=name METRIC=name FORMAT=csv, json or md]
	@$(RECSWEEP) leaderboard

.PHONY: report
report: $(SETUP) ## the page of the latest sweep as one HTML file [SWEEP=name USERS=1,2]
	@$(RECSWEEP) report

.PHONY: compare
compare: $(SETUP) ## two trials, and for whom which is better: make compare A=label B=label [SWEEP=name]
	@$(RECSWEEP) compare

.PHONY: recommend
recommend: $(SETUP) ## top-20 of a user, USER=2000, or of anybody, HISTORY=file or HISTORY=1,260:5 [TRIAL=label]
	@$(RECSWEEP) recommend

.PHONY: queries
queries: $(SETUP) ## list the stored questions
	@$(RECSWEEP) queries

.PHONY: query
query: $(SETUP) ## answer one: make query Q=overlap_between_trials [ARGS="k=10"]
	@$(RECSWEEP) query

.PHONY: verify
verify: $(SETUP) ## recompute the metrics from the saved models, check every stored list [SWEEP=name]
	@$(RECSWEEP) verify

.PHONY: promote
promote: $(SETUP) ## train a trial on all ratings and serve it: make promote TRIAL=label [REFIT=0 NOTE="why"]
	@$(RECSWEEP) promote

.PHONY: refresh
refresh: $(SETUP) ## read the ratings again; if they changed, train, check and serve anew [DATASET=name MARGIN=0.1 …]
	@$(RECSWEEP) refresh

.PHONY: rollback
rollback: $(SETUP) ## serve again what was served before the last promotion
	@$(RECSWEEP) rollback

.PHONY: forget
forget: $(SETUP) ## remove a user from all lists and prepared data: make forget USER=2000 [DATASET=name YES=1]
	@$(RECSWEEP) forget

.PHONY: prune
prune: $(SETUP) ## delete old sweeps: make prune KEEP=3 [YES=1]
	@$(RECSWEEP) prune

.PHONY: analyst
analyst: $(SETUP) ## create the read-only role and print its database URL
	@$(RECSWEEP) analyst

.PHONY: psql
psql: $(SETUP) ## SQL on the results, interactive or [C="select ..."]
	@$(RECSWEEP) psql

.PHONY: flower
flower: $(SETUP) ## print the URL of the Flower dashboard
	@$(RECSWEEP) flower

.PHONY: dashboard
dashboard: $(SETUP) ## print the URL of the page: sweeps, trials, users, items, data; starts what serves it
	@$(RECSWEEP) dashboard

.PHONY: logs
logs: $(SETUP) ## last lines of every service's log [TRIAL=label for a trial's own log]
	@$(RECSWEEP) logs

.PHONY: down
down: $(SETUP) ## stop all services; the results stay [VOLUMES=1: of the containers, all is deleted]
ifneq ($(and $(VOLUMES),$(wildcard .env)),)
	@$(STACK) down
else
	@$(RECSWEEP) down
endif

.PHONY: clean
clean: $(SETUP) ## stop all services and delete the results, models and caches [YES=1]
	@$(RECSWEEP) clean

.PHONY: reference
reference: $(SETUP) ## our 16 reference trials beside the log of 2020, as a Markdown table [DATA_DIR=…]
	@.venv/bin/python -m tests.benchmarks.reference

.PHONY: bench
bench: $(SETUP_DEV) ## measure everything side by side, as Markdown (45 minutes) [QUICK=1 PARTS="families …" DATA_DIR=…]
	@.venv/bin/python -m tests.benchmarks $(if $(QUICK),--quick) $(PARTS)

.PHONY: lint
lint: $(SETUP_DEV) ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

.PHONY: test
test: $(SETUP_DEV) lint ## the whole suite, two files at a time; it starts the services it needs
	@.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: test-growth
test-growth: $(SETUP_DEV) ## searches, stopping, repeats and blends by their commands (about 6 minutes)
	@.venv/bin/python -m pytest -n 2 --dist loadfile tests/growth $(PYTEST_ARGS)

.PHONY: test-chaos
test-chaos: $(SETUP_DEV) ## kill, stop and starve every part of a sweep (about 25 minutes)
	@.venv/bin/python -m pytest -v tests/chaos $(PYTEST_ARGS)

.PHONY: test-compose
test-compose: $(SETUP_DEV) ## the containers for real: builds, breaks and removes a stack (about 10 minutes)
	@.venv/bin/python -m pytest -v tests/compose $(PYTEST_ARGS)
