# SPDX-License-Identifier: GPL-3.0-or-later
# Every target is safe to repeat and needs no root, no container engine, no Galaxy and no AWS account.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/controller/bin
WORKER_BIN := .venv/worker/bin
JOBS ?= 2
COLLECTIONS := $(CURDIR)/build/collections

# Nothing of the user's own Ansible, AWS or Python settings may leak into a run.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_HOME := $(CURDIR)/build/ansible
export PYTHONPATH := $(COLLECTIONS):$(CURDIR)
export LC_ALL := C.UTF-8
unexport ANSIBLE_COLLECTIONS_PATH AWS_PROFILE VIRTUAL_ENV

.PHONY: help env check types test unit unit-fast unit-slow local-aws-test worker-test worker-drawing worker-life worker-clients worker-rest integration e2e crash machine predicts seeded-bugs demo lint build clean
.PHONY: integration-release integration-playbooks containers molecule bench-image locks bad-candidates bench-controller bench-worker soak fuzz-bodies batching

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

env: ## Create or refresh the two environments under .venv/
	@scripts/environment.sh all

check: env ## Format, lint, types, shape and the fast tests (about a minute)
	@scripts/timed ruff $(BIN)/ruff check --quiet .
	@scripts/timed format $(BIN)/ruff format --check --quiet .
	@scripts/timed shape $(BIN)/python scripts/check_shape.py
	@scripts/timed licences $(BIN)/python scripts/check_licences.py
	@$(MAKE) --jobs=2 --output-sync=line unit-fast types

types: env ## mypy --strict, in both environments
	@scripts/timed mypy scripts/types.sh

unit-fast: env
	@scripts/timed unit-fast $(BIN)/pytest -q -n $(JOBS) -m "not slow" tests/unit

# So many of these go on at once, the long ones first. Two cores bear four: some mostly wait, for real processes in real
# time. `check` has run the fast unit tests already.
SUITES := integration-release e2e integration-playbooks worker-drawing worker-life worker-rest local-aws-test worker-clients unit-slow
LANES ?= 4

test: check ## Everything above, and all suites: unit, local_aws, worker, integration, end to end
	@$(MAKE) --jobs=$(LANES) --output-sync=line JOBS=1 $(SUITES)

integration-release: env
	@scripts/timed integration-release $(BIN)/pytest -q tests/integration/release

integration-playbooks: env
	@scripts/timed integration-playbooks $(BIN)/pytest -q --ignore tests/integration/release tests/integration

unit-slow: env
	@scripts/timed unit-slow $(BIN)/pytest -q -m slow tests/unit

unit: env ## Unit tests of the collection and the repository
	@scripts/timed unit $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/unit

local-aws-test: env ## Tests of local_aws: its rules, its runner, its server
	@scripts/timed local-aws $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/local_aws

WORKER_TESTS := tests/worker

worker-test: env ## Tests of the worker, in its own environment
	@PYTHONPATH=$(CURDIR)/worker_app/src scripts/timed worker $(WORKER_BIN)/pytest -q $(WORKER_TESTS)

# The same in four parts: what draws or looks at models and bodies, a worker's life, what clients see, the rest.
DRAWING := $(addprefix tests/worker/,engine model models test_bodies.py test_diffusers_engine.py test_safety.py test_webuiapi.py)
LIFE := $(addprefix tests/worker/,test_pipeline.py test_worker_life.py test_worker_lifecycle.py)
CLIENTS := $(addprefix tests/worker/,test_client.py test_webhooks.py test_worker_cancel.py test_worker_several.py test_worker_trace.py)

worker-drawing: env
	@$(MAKE) worker-test WORKER_TESTS="$(DRAWING)"

worker-life: env
	@$(MAKE) worker-test WORKER_TESTS="$(LIFE)"

worker-clients: env
	@$(MAKE) worker-test WORKER_TESTS="$(CLIENTS)"

worker-rest: env
	@$(MAKE) worker-test WORKER_TESTS="$(addprefix --ignore ,$(DRAWING) $(LIFE) $(CLIENTS)) tests/worker"

integration: env ## Modules and playbooks against local_aws
	@scripts/timed integration $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/integration

e2e: env ## Whole releases on local_aws with real worker processes (slow)
	@scripts/timed e2e $(BIN)/pytest -q -n $(JOBS) --dist loadfile tests/e2e

crash: env ## A controller that dies, or meets a fault, at each AWS call of each goal
	@scripts/timed crash $(BIN)/python -m campaign.crash --jobs $(JOBS)

machine: env ## A fleet under everything at once: 2,000 steps of the state machine
	@scripts/timed machine $(BIN)/python -m campaign.machine --steps 2000 --jobs $(JOBS)

predicts: env ## 50 random situations: does the run do what check mode said?
	@scripts/timed predicts $(BIN)/python -m campaign.predicts --count 50 --jobs $(JOBS)

seeded-bugs: env ## Seven bugs put into a copy of the tree, and the test that catches each
	@scripts/timed seeded-bugs $(BIN)/python -m campaign.seeded_bugs

soak: env ## 2,000 requests on real workers while everything goes wrong: what became of each (a table; about 10 minutes)
	@scripts/timed soak $(BIN)/python -m campaign.soak

drains: env ## 100 workers told to go in the middle of a job: none is begun twice (about 5 minutes)
	@scripts/timed drains $(BIN)/python -m campaign.drains

flat: env ## Memory, threads and open files of one worker over 10,000 jobs (about 10 minutes)
	@scripts/timed flat $(BIN)/python -m campaign.flat

# The engine of `make containers`: scripts/engine/engine.sh up, base and env of that name.
ENGINE ?= containers
export FLEET_ENGINE_NAME := $(ENGINE)

CONTAINER_TESTS := tests/containers

containers: env ## Tests that need a Docker engine (scripts/engine/engine.sh up containers): image, registry, docker runner, hosts
	@scripts/timed containers $(BIN)/pytest -q --durations=10 $(CONTAINER_TESTS)

SCENARIO :=

molecule: env ## Molecule scenarios of the role gpu_worker on machines with systemd (same engine; SCENARIO=rpm: that one)
	@scripts/timed molecule scripts/molecule.sh $(SCENARIO)

bench-image: env ## What an image of the worker and its next version cost to build, push and pull (needs the same engine)
	@scripts/timed bench-image $(BIN)/python -m bench.image --engine $(ENGINE)

locks: ## Write the lock files of the worker's image, worker_app/locks, from worker_app/requirements*.txt
	@scripts/locks.sh

RUNNER ?= process

demo: env ## A fleet on this machine: two releases, a bad one, a rollback, and the pictures (RUNNER=docker: in containers)
	@$(BIN)/python scripts/demo.py --runner $(RUNNER)

bad-candidates: env ## Five bad versions under traffic, each of which must come back by itself (a table; about 5 minutes)
	@scripts/timed bad-candidates $(BIN)/python -m campaign.bad_candidates

fuzz-bodies: env ## 20,000 generated bodies through the worker's decision, 400 of them through a real queue
	@PYTHONPATH=$(CURDIR)/worker_app/src:$(CURDIR) scripts/timed fuzz-bodies $(WORKER_BIN)/python -m campaign.bodies

bench-worker: env ## The worker beside the naive loop, litserve, mosec and Ray Serve on the digits model (a table; about 10 minutes)
	@scripts/timed bench-worker $(BIN)/python -m bench.worker

batching: env ## Are pictures drawn together those drawn alone, for every sampler, and what does that save? (tables; about 5 minutes)
	@PYTHONPATH=$(CURDIR)/worker_app/src:$(CURDIR) scripts/timed batching $(WORKER_BIN)/python -m campaign.batching

bench-controller: env ## What a deploy costs its controller, beside the predecessor's AWS CLI calls (tables; about 5 minutes)
	@scripts/timed bench-controller $(BIN)/python -m bench.controller

lint: env ## ansible-lint, ansible-test sanity, documentation and changelog lint, shellcheck, hadolint
	@scripts/lint.sh

build: env ## Build the collection tarball under build/dist/
	@rm -rf build/package && mkdir -p build/package
	@git ls-files -z | xargs -0 cp --parents -t build/package
	@scripts/timed build $(BIN)/ansible-galaxy collection build --force --output-path build/dist build/package

clean: ## Remove what these targets made, except the environments
	@rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis
