# The only entry points a person needs. Each target installs what it lacks (tools/bootstrap.sh).
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
ENV ?= dev
ENGINE ?= in-process
ARGS ?=
export PYTHONUTF8 := 1

.PHONY: help install rehearse rehearse-up rehearse-down drills test check format bench lock picture schema pulumi clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Make .venv from the locks (Python >= 3.11 and venv, pip or uv)
	@tools/bootstrap.sh

rehearse: install ## Bring the platform up offline and send real predictions (ENV=dev ARGS="--serve")
	@.venv/bin/mainstage rehearse --env $(ENV) $(ARGS)

rehearse-up: pulumi ## Bring ENV up offline by the real pulumi, in an emulated AWS that stays
	@.venv/bin/mainstage rehearse-up --env $(ENV) $(ARGS)

rehearse-down: install ## Destroy what rehearse-up made; what is protected remains, and is listed
	@.venv/bin/mainstage rehearse-down --env $(ENV) $(ARGS)

drills: install ## Play every drill offline (ENGINE=pulumi: by the real CLI)
	@[ "$(ENGINE)" != pulumi ] || tools/pulumi/install.sh
	@.venv/bin/mainstage drill run --all --engine $(ENGINE) $(ARGS)

test: install ## Run every test, in parallel (ARGS="-k name" narrows)
	@tools/pulumi/install.sh || echo "tests/engine is skipped: it runs the real pulumi" >&2
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: install ## Lint, format, types, catalog, policies over all stacks, links of the docs
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m pyright
	@.venv/bin/mainstage catalog check
	@.venv/bin/mainstage policies check
	@$(PY) tools/check_docs.py

format: install ## Put the code into its standard form
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

pulumi: install ## Find the Pulumi CLI or build it, into .tools/bin (Go 1.26): for rehearse-up and tests/engine
	@tools/pulumi/install.sh

bench: install ## Time the program, the door and a rehearsal; compare with the last run
	@$(PY) tests/bench/run.py $(ARGS)

picture: install ## Draw the README's pictures again, from a real rehearsal
	@$(PY) tools/picture.py

schema: install ## Write the generated files again: catalog schema, component schema, guides
	@$(PY) -m infra.reference_docs
	@UPDATE_GOLDENS=1 $(PY) -m pytest -q -n0 tests/components/test_schema.py

lock: install ## Resolve the locks again from the pyproject files
	@tools/lock.sh

clean: ## Remove what the targets made (environments, rehearsals, caches)
	rm -rf .venv .tools .mainstage .pytest_cache .ruff_cache .hypothesis
