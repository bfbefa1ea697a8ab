# The few commands to know. `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv$(if $(filter command line,$(origin PYTHON)),/$(subst /,_,$(PYTHON)))# each named interpreter has its own
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ALONE := tests/hostile/test_hostile.py $(addprefix tests/system/test_,demo.py day.py race.py kill_anywhere.py raft.py)  # time is judged there
CHECKED := $(if $(filter check,$(MAKECMDGOALS)),--ignore=tests/architecture --ignore=tests/unit/rotation)  # `make check test`: check has run them

.PHONY: demo test check coverage format lock campaign-day campaign-hostile campaign-fuzz campaign-simulation campaign-walk campaign-matrix campaign-kill campaign-race campaign-raft campaign-soak campaign-cron bench bench-fleet house manifests try-systemd try-image try-proxy try-vault try-kubernetes try-oauth clean

$(STAMP): pyproject.toml config/locks/dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rotator needs Python 3.11 or newer: make PYTHON=python3.11 …" >&2; exit 1; }
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r config/locks/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## rotate real tokens and keys before your eyes, on a real OpenBao and two sandbox targets; KEEP=1 to play with it afterwards
	$(BIN)/python -m tests.sandbox.demo $(if $(KEEP),--keep)

test: $(STAMP)  ## the whole suite, real OpenBao included: first what computes, then what mostly waits for real processes
	$(BIN)/python -m pytest -m "not system" -n 2 $(CHECKED)
	$(BIN)/python -m pytest -m system -n 3 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest -m system $(ALONE)

coverage: $(STAMP)  ## every branch of the decisions is tested
	$(BIN)/coverage run --branch --source=rotator/rotation --data-file=$(VENV)/.cache/coverage-rotation -m pytest -q tests/unit/rotation
	$(BIN)/coverage report --data-file=$(VENV)/.cache/coverage-rotation --fail-under=100 --skip-covered

check: $(STAMP) coverage  ## format, lint, types, floors, every branch of the decisions
	$(BIN)/ruff format --check rotator tests
	$(BIN)/ruff check rotator tests
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

format: $(STAMP)
	$(BIN)/ruff format rotator tests
	$(BIN)/ruff check --fix rotator tests

lock: $(STAMP)  ## renew the hash-checked locks (needs uv on the PATH)
	uv pip compile -q pyproject.toml --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header -o config/locks/runtime.txt
	uv pip compile -q pyproject.toml --upgrade --extra dev --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header -o config/locks/dev.txt
	echo hatchling | uv pip compile -q - --constraint config/locks/dev.txt --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header -o config/locks/build.txt

campaign-simulation: $(STAMP)  ## a million seeded histories, on every core for hours; SEEDS=n FROM=n
	$(BIN)/python -m tests.model.simulation --seeds $(or $(SEEDS),1000000) --from $(or $(FROM),0)

campaign-walk: $(STAMP)  ## every history of two actors with at most FAULTS faults; FAMILY=name, KINDS=crash,late,…, MOST=states, PLANTED=1
	$(BIN)/python -m tests.model.walk --faults $(or $(FAULTS),2) --family $(or $(FAMILY),all) \
	  $(if $(KINDS),--kinds $(KINDS)) $(if $(MOST),--most $(MOST)) $(if $(PLANTED),--planted)

campaign-matrix: $(STAMP)  ## pairs of faults, in the order of SEED, for MINUTES
	$(BIN)/python -m tests.model.matrix --pairs --seed $(or $(SEED),0) --minutes $(or $(MINUTES),60)

campaign-hostile: $(STAMP)  ## every behaviour of a bad server at every call site; ONLY=text for some
	$(BIN)/python -m tests.hostile --only "$(ONLY)"

campaign-fuzz: $(STAMP)  ## settings, documents and the control socket fuzzed for MINUTES; SEED=n
	$(BIN)/python -m tests.hostile.fuzz --minutes $(or $(MINUTES),10) --seed $(or $(SEED),0)

campaign-kill: $(STAMP)  ## kill -9 at every call of a rotation of every kind, TIMES over; KIND=name for one, AT_ONCE=n, PROBES=n
	$(BIN)/python -m tests.system.kill_anywhere --times $(or $(TIMES),25) $(if $(KIND),--kind $(KIND)) \
	  $(if $(AT_ONCE),--at-once $(AT_ONCE)) $(if $(PROBES),--probes $(PROBES))

campaign-race: $(STAMP)  ## six daemons with wrong clocks and two shells racing under faults for MINUTES
	$(BIN)/python -m tests.system.race --minutes $(or $(MINUTES),10) --daemons 6 --shells 2

campaign-raft: $(STAMP)  ## three raft nodes, KILLS leaders killed, WRITES check-and-set writes acknowledged; SEED=n
	$(BIN)/python -m tests.system.raft --kills $(or $(KILLS),50) --writes $(or $(WRITES),20000) --seed $(or $(SEED),1)

campaign-day: $(STAMP)  ## people, callers, settings, servers and processes at their worst for MINUTES, as a black box; SEED=n
	$(BIN)/python -m tests.system.day --minutes $(or $(MINUTES),60) --seed $(or $(SEED),1)

campaign-soak: $(STAMP)  ## a day of everything, a year, a day of one-minute assertions, in accelerated time
	$(BIN)/python -m tests.model.soak --hours 24
	$(BIN)/python -m tests.model.soak --scenario yearly --days 365
	$(BIN)/python -m tests.model.soak --scenario assertions --hours 24

campaign-cron: $(STAMP)  ## schedules around every change of the clocks of every time zone for ten years, minute by minute
	$(BIN)/python -m tests.tools.cron_walk

bench: $(STAMP)  ## the rotator against a bare loop and two scripts; see tests/tools/bench/README.md
	$(BIN)/python -m tests.tools.bench

bench-fleet: $(STAMP)  ## a daemon with many settled credentials, beside a bare loop of the same reads (N=10000); REPLICAS=4: what each further daemon adds
	$(if $(REPLICAS),$(BIN)/python -m tests.tools.bench.replicas --replicas $(REPLICAS),$(BIN)/python -m tests.tools.bench.fleet --credentials $(or $(N),10000))

house: $(STAMP)  ## how the code is laid out, in counts, and what one rotation touches
	$(BIN)/python -m tests.tools.house

manifests: $(STAMP)  ## the alerts in a cluster's words, and what kustomize and helm make of config/, recorded (KUSTOMIZE=/path HELM=/path, or built with Go)
	$(if $(KUSTOMIZE),KUSTOMIZE="$(KUSTOMIZE)") $(if $(HELM),HELM="$(HELM)") $(BIN)/python -m tests.tools.manifests $(VENV)/.cache/kubernetes

try-systemd: $(STAMP)  ## the units under a real systemd, booted on a throw-away root (root, systemd-container)
	$(BIN)/python tests/tools/try_booted.py

try-image: $(STAMP)  ## build the container image and run its tree read-only, as a number (root, buildah, bubblewrap)
	$(BIN)/python tests/tools/try_image.py

try-proxy: $(STAMP)  ## Vault, targets and a hook through Squid and Tinyproxy (apt-get install squid tinyproxy)
	$(BIN)/python -m tests.tools.try_proxy

try-vault: $(STAMP)  ## demo, tests/unit/vault and system tests on HashiCorp Vault: VAULT_BINARY=/path/to/vault, or built with Go; OPTIONS="-k raft"
	$(if $(VAULT_BINARY),VAULT_BINARY="$(VAULT_BINARY)") $(BIN)/python -m tests.tools.try_vault $(VENV)/vault $(OPTIONS)

try-kubernetes: $(STAMP)  ## rotator in a real cluster of two nodes, set up as docs say, then disturbed (root, Go, Debian packages: see the file); VAULT_BINARY=/path/to/vault; ONLY=text
	$(if $(VAULT_BINARY),VAULT_BINARY="$(VAULT_BINARY)") $(BIN)/python -m tests.tools.kubernetes.try_kubernetes $(VENV)/.cache/kubernetes-1.34.4 "$(ONLY)"

try-oauth: $(STAMP)  ## every OAuth kind under consumers, kills and lost answers on a real server from a package index: SERVER=hydra (Go, C compiler), spring, keycloak (JDK 17, Maven), oidc-provider (node, npm), django-oauth-toolkit, jupyterhub; ONLY=text
	$(BIN)/python -m tests.tools.oauth.try_oauth "$(SERVER)" "$(ONLY)"

clean:
	rm -rf $(VENV)
