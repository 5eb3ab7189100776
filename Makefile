# Everything this project does to itself; `make help` lists the goals, CONTRIBUTING.md says when to use which.
# `make`, `make test` and CI (.ci/run) are the same thing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := test
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Cargo compares these, and the command, between builds: as setuptools-rust has them, `make wheel` compiles nothing anew.
PYO3 = PYO3_PYTHON=$(CURDIR)/$(BIN)/python PYO3_BUILD_EXTENSION_MODULE=1
# What is shipped is compiled by how it is used; tests are not.
SHIPPED = export RUSTFLAGS; RUSTFLAGS=$$($(BIN)/python scripts/rust_flags.py $(TARGET));
# The extension is linked into Python, not into a test program; its tests are Python's.
CRATES := --workspace --exclude alongside-python
# No tests collected (5) is no failure where a selection may be empty.
EMPTY_OK := || test $$? -eq 5

.PHONY: help test demo bench soak fmt build wheel profile clean

help: ## List the goals
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

test: debian format lint types imports build stubs generated test-rust test-python docs ## Check everything: what CI runs
	@echo "make test: everything passed"

demo: build ## Run the photo service behind a sharded cache and show what the cache buys
	$(BIN)/python examples/photos/demo.py

bench: build debian ## Measure against the packaged peers and write the README's table
	$(BIN)/python -m bench.http
	$(BIN)/python -m bench.memcache
	$(BIN)/python -m bench.ready
	$(BIN)/python scripts/bench_table.py --write
	$(BIN)/python -m bench.pods

soak: build debian ## Run the long repetitions; the output is kept in build/soak
	@mkdir -p build/soak
	PROPTEST_CASES=20000 SIMULATION_SEEDS=20000 cargo test --locked $(CRATES) --release 2>&1 | tee build/soak/rust.log
	{ SIMULATION_SEEDS=20000 $(BIN)/pytest -m soak tests $(EMPTY_OK); } 2>&1 | tee build/soak/python.log

fmt: venv ## Write the format that `make test` checks
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

build: venv ## Compile, and make the command usable as .venv/bin/alongside
	@$(SHIPPED) $(PYO3) cargo rustc --release --locked --manifest-path rust/python/Cargo.toml --lib --crate-type cdylib --features pyo3/extension-module
	@$(SHIPPED) cargo build --release --locked --manifest-path rust/dataplane/Cargo.toml --bin alongside-dataplane
	@$(BIN)/python scripts/develop.py $(TARGET)

wheel: venv ## Build the wheel into dist/
	@rm -rf dist
	scripts/wheel.sh dist
	@ls -l dist

profile: build debian ## Count anew how the data plane is used, for its compiler
	scripts/profile.sh

clean: ## Remove what was built, but not the environment
	rm -rf build dist $(TARGET) python/alongside/_native.abi3.so

# The environment.

.PHONY: machine debian venv
machine: ## Name what this machine lacks, with the commands that bring it
	@scripts/check_machine.sh

debian: ## Install the Debian packages that tests need (as root), or say which
	@scripts/debian_packages.sh

venv: $(STAMPS)/packages ## Make the Python environment in .venv

$(BIN)/python: | machine
	$$(scripts/find_python.sh) -m venv $(VENV)

$(STAMPS)/requirements.txt: pyproject.toml scripts/requirements.py | $(BIN)/python
	@mkdir -p $(STAMPS)
	@$(BIN)/python scripts/requirements.py > $@.new
	@if cmp -s $@.new $@; then rm $@.new; touch -r $@ $@; else mv $@.new $@; fi

$(STAMPS)/packages: $(STAMPS)/requirements.txt constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $< -c constraints.txt
	@touch $@

# The parts of `make test`, cheapest first.

.PHONY: format lint types imports stubs generated test-rust test-python docs
format: venv ## Check the format of Python and Rust
	cargo fmt --all --check
	$(BIN)/ruff format --check .

lint: venv ## Run ruff and clippy, warnings being errors
	$(BIN)/ruff check .
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings

types: venv ## Check types with mypy, strictly
	$(BIN)/mypy

imports: venv ## Check the layers of the Python rooms
	PYTHONPATH=python $(BIN)/lint-imports --no-cache

stubs: build ## Compare the extension's stub with the binary
	$(BIN)/python -m mypy.stubtest alongside._native

generated: build ## Check that generated files are fresh
	scripts/check_generated.sh

test-rust: venv ## Run Rust's tests
	cargo test --locked $(CRATES)

test-python: build ## Run Python's tests: unit, property, contract, agreement, e2e, meta
	$(BIN)/pytest $(EMPTY_OK)

docs: ## Build Rust's documentation, warnings being errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet
