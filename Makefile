# Every target makes the virtual environment when it is missing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
EXTRAS := cpu,openvino,train,export,formats,report,label,remote,docs,dev

.PHONY: setup demo docs test properties test-browser test-cluster test-copick test-pipelines test-install test-minima faults fuzz check bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

demo: setup
	$(BIN)/milopyp demo --out demo

# A worker that dies ends the run: xdist waits for ever where it starts another one in its place.
test: setup
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# The tests of properties with examples that are drawn anew; make test takes the same ones each time.
properties: setup
	MILOPYP_RANDOM=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --max-worker-restart 0 -m hypothesis

test-browser: setup
	tests/browser/run.sh

test-cluster: setup
	tests/cluster/run.sh

test-copick: setup
	PYTHON=$(PYTHON) tests/copick/run.sh

test-pipelines: setup
	PYTHON=$(PYTHON) tests/pipelines/run.sh

faults: setup
	MILOPYP_KILLS=20 $(BIN)/pytest tests/faults

fuzz: setup
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt atheris
	for reader in mod mrc "image list" "coordinate list" recipe relion5 tbl copick ndjson "copick project" "OME-Zarr image" "OME-Zarr array"; do \
		$(BIN)/python tests/fuzz/fuzz.py "$$reader" 60 || exit 1; done

test-install:
	PYTHON=$(PYTHON) tests/end_to_end/install.sh

test-minima:
	tests/end_to_end/minima.sh

# The pages of this version, beside those of others; a server of files is all that they need.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site/$(VERSION)
	ln -sfn $(VERSION) site/latest

check: setup docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/bench_startup.py

clean:
	rm -rf $(VENV) demo site .pytest_cache .mypy_cache .ruff_cache .hypothesis
