# make demo     set up, then train on handwritten digits with the bundled sparse backbone
# make test     set up, then run the fast tests
# make test-py PY=3.12    the same on another Python
# make docs     the documents as a site, in docs/_build
PY ?= 3.11
VENV ?= .venv
BIN := $(VENV)/bin
# python3.11 may be there under its own name, be pyenv's, or be the default python3.
PYTHON = $(shell for p in python$(PY) "$$HOME"/.pyenv/versions/$(PY).*/bin/python python3 python; do \
	"$$p" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(PY)")' 2>/dev/null && echo "$$p" && break; done)

# A process a core, whole files at a time; PARALLEL= runs them one after the other.
PARALLEL ?= -n logical --maxprocesses 4 --dist loadfile

.PHONY: demo test test-all test-py lint sanitize bench reference docs clean
.DELETE_ON_ERROR:

NATIVE := hatch_build.py edgetransfer/native/compiling.py $(wildcard edgetransfer/native/src/*/*)

$(VENV)/.installed: pyproject.toml constraints.txt $(NATIVE)
	@test -n "$(PYTHON)" || { echo "Python $(PY) was not found: install it, or name another with PY=3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.installed-all: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,finetune,openvino,report,heic]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/edgetransfer demo

test: $(VENV)/.installed
	$(BIN)/pytest -q $(PARALLEL)

test-all: $(VENV)/.installed-all
	HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -q $(PARALLEL) -m "slow or not slow"

test-py:
	$(MAKE) test PY=$(PY) VENV=.venv-$(PY)

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	git ls-files '*.cpp' '*.h' | xargs $(BIN)/clang-format --dry-run --Werror

# The native library: no warning, and clean under the address and undefined-behaviour sanitizers.
sanitize: $(VENV)/.installed
	$(BIN)/pytest -q -m slow tests/engines/sparse/test_compiling.py -k "sanitizers or warning"

bench: $(VENV)/.installed-all
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/heads.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/engine_sparse.py
	$(BIN)/python benchmarks/pipeline.py --backbone tinyresnet-90 --backbone resnet50:0.9
	$(BIN)/python benchmarks/pipeline.py --backbone resnet50:0.9 --large
	$(BIN)/python benchmarks/epoch.py
	$(BIN)/python benchmarks/stream.py
	$(BIN)/python benchmarks/finetune.py
	$(BIN)/python benchmarks/masked_training.py

reference: $(VENV)/.installed
	$(BIN)/python docs/programs/commands.py
	$(BIN)/python docs/programs/json_keys.py

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning -c docs . docs/_build
	@echo "docs/_build/docs/index.html"

clean:
	rm -rf $(VENV) .venv-* edgetransfer-demo dist docs/_build
