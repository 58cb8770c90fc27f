# Needs only Python >= 3.11 and make; everything else comes from the hashed lock file into .venv.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
PACKAGES := receiver workers feed schemas deploy tests

.PHONY: help setup demo test crash-proof availability planted-defects door-proof fuzz bench bench-lock check measure \
	catalogue measure-compliance format lock clean
.DEFAULT_GOAL := help

help: ## say what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

setup: .venv/.installed ## install everything into .venv, hashes checked

.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 is needed: install one, or say make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## the whole line on embedded services, with a simulated Jumio
	@$(BIN)/jumio-pipeline demo

# Three where there are two cores: much of it waits. In the order of their names, the proof that waits longest is soon begun.
test: check ## lint, types, import contracts, then every test
	$(BIN)/python -m pytest -n $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder

crash-proof: setup ## kill, stop, cut and fill everything under load, ROUNDS times (SEED repeats an order, RATE a second)
	@$(BIN)/python -m tests.crash_proof --rounds $(or $(ROUNDS),20) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE))

availability: setup ## restart Postgres TIMES times under RATE callbacks a second: 99.9 % and more get their 200
	@$(BIN)/python -m tests.crash_proof --fault "restart postgres" --times $(or $(TIMES),20) --rate $(or $(RATE),20) \
		--settle 600 $(if $(SEED),--seed $(SEED))

planted-defects: setup ## plant each known defect in a copy of the project, and demand that its tests notice
	@$(BIN)/python -m tests.planted $(if $(ONLY),--only "$(ONLY)")

door-proof: setup ## every case of the door's catalogue, directly and behind nginx and haproxy, the slow ones too
	@for name in nginx haproxy pgbouncer; do PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v $$name >/dev/null || \
		{ echo "$$name is needed: apt-get install nginx-light haproxy pgbouncer"; exit 1; }; done
	@DOOR_PROOF=long SPOOF_CASES=100000 $(BIN)/python -m pytest -p no:cacheprovider -o timeout=600 \
		tests/receiver/catalogue tests/receiver/test_spoofing.py tests/receiver/test_namespace.py \
		tests/receiver/test_rolling_restart.py tests/receiver/test_pooler.py

fuzz: setup ## random and mutated requests for SECONDS (SEED repeats them)
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

bench: setup .venv-bench/.installed ## the door against its floor and its peers, the line, deliveries; writes deploy/benchmarks (needs wrk)
	@$(BIN)/python -m tests.bench $(BENCH)
	@$(BIN)/python -m tests.bench.line
	@$(BIN)/python -m tests.bench.deliveries $(BENCH_DELIVERIES)

.venv-bench/.installed: tests/bench/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench-lock: setup ## resolve the versions of what the door is compared with
	$(BIN)/uv pip compile tests/bench/requirements.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade -o tests/bench/requirements.lock

check: setup ## lint, types and import contracts
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/lint-imports

measure: setup ## what reading costs and how busy Jumio's busiest second is, measured here and now
	@log=$$(mktemp); $(BIN)/python -m deploy.measure 2>"$$log" || { tail -n 30 "$$log"; exit 1; }; rm -f "$$log"
	@said=$$($(BIN)/python -m pytest -s -k many tests/schemas/test_mutations.py) || { echo "$$said"; exit 1; }; \
		echo "$$said" | grep mutations

catalogue: setup ## write schemas, examples and the AsyncAPI document of the events; refuses to break a consumer
	@$(BIN)/python -m deploy.catalogue

measure-compliance: setup ## how long answers take among WORKFLOWS (1000000) invented ones; fails over the bounds
	@nice $(BIN)/python -m deploy.measure_compliance $(if $(WORKFLOWS),--workflows $(WORKFLOWS))

format: setup ## let the machine format
	$(BIN)/ruff format $(PACKAGES)
	$(BIN)/ruff check --fix $(PACKAGES)

lock: setup ## resolve the versions again, for every supported Python
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --upgrade -o requirements.lock

clean: ## forget the environment and the caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
