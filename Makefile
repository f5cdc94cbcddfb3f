# `make demo` and `make test` need Python >= 3.11, pip and make, and nothing else.
# Each makes the environment it needs below .venv, from the lock, and leaves everything else alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Byte code compiled at install time is worth seconds at every first import.
INSTALL := UV_COMPILE_BYTECODE=1 $(UV) pip install --quiet --python $(BIN)/python

.PHONY: help demo test containers cluster cluster-up cluster-down manifests check format lock benchmarks clean

help:
	@echo "make demo        run the main job: 344 penguins to a served model"
	@echo "make test        run the tests (installs TensorFlow, CPU, too)"
	@echo "make containers  run the tests that need Docker or Podman"
	@echo "make cluster-up  turn a kind cluster into one that runs pipelines and serves models; cluster-down removes it"
	@echo "make cluster     run the tests that need Kubernetes, with one of their own"
	@echo "make check       what CI runs: format, lint, types, layers, tests"
	@echo "make format      format the code"
	@echo "make lock        resolve the lock anew"
	@echo "make benchmarks  print the numbers beside their floors"

demo: $(VENV)/.demo
	$(BIN)/orc run pipelines/penguins/pipeline.yaml

# A file is one worker's from beginning to end: what its tests share is made once.
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Starts a daemon of its own where none answers, and makes the image (as root, with debootstrap, once).
containers: $(VENV)/.dev
	$(BIN)/python tests/containers/prepare.py $(BIN)/python -m pytest tests/containers

# The cluster itself: kind create cluster --config kind-config.yaml. Another one: make cluster-up CONTEXT=mine REGISTRY=...
cluster-up: $(VENV)/.cluster
	manifests/cluster-up.sh

cluster-down:
	kind delete cluster --name orchestrator
	docker rm --force --volumes orchestrator-registry

# Starts a Kubernetes of its own: Go builds it once (seven minutes), and root has pods run on a node, too.
# With it come helm and kubectl: tests that `make test` skips for want of them run here.
cluster: $(VENV)/.dev
	$(BIN)/python tests/cluster/prepare.py --images $(BIN)/python -m pytest --numprocesses auto --dist loadfile \
		tests/cluster tests/helm tests/kustomize tests/docs/test_cluster_pages.py

# The chart as plain manifests, for those who use kustomize; wants helm.
manifests: $(VENV)/.dev
	$(BIN)/python manifests/render.py

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(VENV)/.dev
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.serving

# The demo's lock is constrained by the tests', so that both use the same versions.
lock: $(UV)
	$(UV) pip compile pyproject.toml --extra dev $(LOCK) --output-file requirements/dev.txt
	$(UV) pip compile pyproject.toml --extra demo --constraint requirements/dev.txt $(LOCK) --output-file requirements/demo.txt
	$(UV) pip compile pyproject.toml --extra demo --extra kubernetes --constraint requirements/dev.txt $(LOCK) --output-file requirements/cluster.txt
	$(UV) pip compile $(IMAGES)/components.in --constraint requirements/dev.txt $(LOCK) --no-annotate \
		--output-file $(IMAGES)/components.lock.txt
	$(UV) pip compile $(IMAGES)/mlflow.txt $(LOCK) --no-annotate --output-file $(IMAGES)/mlflow.lock.txt
	cp requirements/uv.txt $(IMAGES)/uv.txt

# What goes into images is locked apart: the same versions, and more packages than the tests need.
IMAGES := orchestrator/images/files

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet --upgrade \
	--custom-compile-command "make lock"

clean:
	rm -rf $(VENV) .orc

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt

$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(UV)
	@echo "Installing what the demo needs (once, about a minute) ..."
	test -e $(VENV)/.dev || $(INSTALL) --require-hashes -r requirements/demo.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.cluster: requirements/cluster.txt pyproject.toml | $(UV)
	@echo "Installing what a cluster is asked with (once, about a minute) ..."
	test -e $(VENV)/.dev || $(INSTALL) --require-hashes -r requirements/cluster.txt
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(UV)
	@echo "Installing what the tests need, TensorFlow included (once, a few minutes) ..."
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps --editable .
	@touch $@
