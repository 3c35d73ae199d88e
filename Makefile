# From a fresh checkout: `make demo` shows what this is, `make test` passes every test.
# Needed: Python 3.11 or newer with its venv module, and make. uv is used where it is there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test processes: one for each core, unless it is said otherwise (make test JOBS=1).
JOBS ?= auto
# Real programs that tests run against.
PEERS := chromium docker-registry kubectl openssl prometheus promtool skopeo

.DEFAULT_GOAL := help
.PHONY: help demo test test-long image-test check format docs manifests requirements peers bench setup clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(READY)  ## all of the janitor on a sample registry in a local folder
	@$(BIN)/janitor demo

test: $(READY)  ## every test; the last line says which real programs were missing
	@$(BIN)/pytest -n $(JOBS)

test-long: $(READY)  ## every test, the laws on ten times as many examples, and kill -9 at every point
	@HYPOTHESIS_PROFILE=long $(BIN)/pytest -n $(JOBS) --timeout=3600

# Of its own, since it needs root and fetches packages: make peers PEERS="buildah mmdebstrap" brings its programs.
image-test: $(READY)  ## build the image, without an engine, and run it as a cluster would
	@JANITOR_REQUIRE_PEERS=1 $(BIN)/pytest -q tests/deploy/built_image.py

stress: $(READY)  ## a minute of pushes to a real registry that is cleaned meanwhile; says what it counted
	@HYPOTHESIS_PROFILE=long $(BIN)/pytest -n 0 -q tests/proofs/test_stress.py --timeout=3600

check: $(READY)  ## all that is asked of a change besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_architecture.py tests/contract

format: $(READY)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## write docs/policy-reference.md anew from the tables
	$(BIN)/python docs/generate.py

manifests:  ## copy cronjob.yaml to where kustomize reads it
	cp cronjob.yaml deploy/base/cronjob.yaml

requirements:  ## write requirements-dev.txt anew from uv.lock (needs uv)
	uv export --quiet --locked --format requirements-txt --all-groups --no-emit-project --no-header \
	  --output-file requirements-dev.txt

# Debian's docker-registry and prometheus (of which promtool is used) also bring services, on ports 5000 and
# 9090; no test uses them, and they may be off.
peers:  ## install the real programs that tests run against (Debian's packages)
	@missing=; for program in $(PEERS); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -z "$$missing" ]; then echo "peers present: $(PEERS)"; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	$$as_root apt-get update && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
	  $$(echo $$missing | sed 's/kubectl/kubernetes-client/; s/promtool/prometheus/')

bench: $(READY)  ## measure, on this machine
	@$(BIN)/python -m benchmarks

setup: $(READY)  ## make the environment, and no more

clean:  ## take away the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# By uv where it is there, else by venv and pip; both install the versions of uv.lock. Anew when they change.
$(READY): pyproject.toml uv.lock requirements-dev.txt
	@set -e; \
	if command -v uv >/dev/null; then uv sync --quiet --locked; touch $@; exit 0; fi; \
	command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: apt install python3"; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, this is $$($(PYTHON) -V): make PYTHON=python3.11"; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing: apt install python3-venv"; exit 1; }; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --clear $(VENV); fi; \
	echo "installing into $(VENV)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	touch $@
