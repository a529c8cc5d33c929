# Everything a developer does, as one word. The build itself is CMake's (CMakePresets.json); these
# targets first install what is missing (scripts/setup), so that they work on a bare Debian 12.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup configure build demo test bench parity format check-format lint check-layers clean

JOBS ?= $(shell nproc)
BUILD := build
PYTHON := .venv/bin/python
SOURCES = $(shell git ls-files --cached --others --exclude-standard '*.cc' '*.h')

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | column -t -s "$$(printf '\t')" 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1: \2/p' Makefile

setup:
	@scripts/setup

configure: setup
	@cmake --preset release -DTERCEL_PYTHON=ON -DPython_EXECUTABLE=$(CURDIR)/$(PYTHON) $(CMAKE_ARGS) >$(BUILD)-configure.log 2>&1 \
	  || { cat $(BUILD)-configure.log; exit 1; }; mv $(BUILD)-configure.log $(BUILD)/configure.log

build: configure ## build the command (build/tercel), the library, the tests, and the Python module into .venv
	@cmake --build $(BUILD) --parallel $(JOBS)
	@cmake --install $(BUILD) --component python --prefix "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" >/dev/null

demo: build ## build, and answer three questions from a document with the model in models/
	@scripts/demo

test: build ## every test: CTest for C++, pytest for Python
	@scripts/run_tests $(BUILD) $(JOBS)

bench: CMAKE_ARGS += -DTERCEL_BENCH=ON
bench: build ## the measured figures, against their references, in one run
	@scripts/bench

parity: build ## make the fixtures anew with PyTorch and transformers, compare with the committed ones and with Tercel
	@scripts/setup --with-parity
	@cmake --install $(BUILD) --component python --prefix "$$(.venv-parity/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')" >/dev/null
	@.venv-parity/bin/python scripts/make_fixtures.py --check
	@.venv-parity/bin/python scripts/parity/both_exporters.py
	@.venv-parity/bin/python scripts/parity/minilm.py
	@.venv-parity/bin/python scripts/parity/tokenizer_strings.py

format: ## rewrite the sources as clang-format and ruff want them
	@scripts/setup --with-lint
	@clang-format-14 -i $(SOURCES)
	@$(PYTHON) -m ruff format --quiet . && $(PYTHON) -m ruff check --quiet --fix .

check-format: ## fail if `make format` would change anything
	@scripts/setup --with-lint
	@clang-format-14 --dry-run -Werror $(SOURCES)
	@$(PYTHON) -m ruff format --quiet --check . && echo "format: $(words $(SOURCES)) C++ files and the Python files are formatted"

check-layers: ## hold the includes against the table of layers
	@python3 tools/check_layers.py

lint: ## clang-tidy on the C++ sources that changed since they last passed, ruff, each header alone
	@scripts/setup --with-lint
	@cmake --preset lint -DTERCEL_PYTHON=ON -DPython_EXECUTABLE=$(CURDIR)/$(PYTHON) >/dev/null
	@python3 tools/check_layers.py --headers --jobs $(JOBS)
	@python3 tools/tidy.py --jobs $(JOBS)
	@$(PYTHON) -m ruff check --quiet . && echo "ruff: no findings"

clean: ## remove what was built (not .venv)
	@rm -rf build build-*
