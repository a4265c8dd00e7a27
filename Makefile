# Each target sets up what it needs: Python >= 3.11 and make are enough.
.PHONY: demo test check docs packages reliability bench encoder label-studio install clean
.DEFAULT_GOAL := demo

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
SEE_PYTHON = @test -n "$(PYTHON)" || \
	{ echo "polymux needs Python 3.11 or later: make PYTHON=/path/to/python3" >&2; exit 1; }
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Two processes of one thread each: on two cores faster than one process of two threads.
WORKERS ?= 2

demo: .venv/installed
	$(BIN)/polymux demo

test: .venv/installed-dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(PYTEST)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: .venv/installed-dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What is built installs with the lowest versions of its dependencies, and works;
# PACKAGES=--all: the newest, every extra alone, the whole demo and pipx as well (half an hour).
packages: .venv/installed-dev
	$(BIN)/python -m tests.packaging $(PACKAGES)

# Three hours of trying to break it: a fuzzer on all that is read, kill -9, full disks. What came
# of it goes to docs/reliability.md; RELIABILITY holds parts and options, such as 'kills --quick'.
reliability: .venv/installed-fuzz
	$(BIN)/python -m tests.reliability $(RELIABILITY)

# POLYMUX_DATA names the corpora; BENCH holds parts and options, such as BENCH='memory --quick'.
BENCH ?= --million
bench: .venv/installed-bench
	$(BIN)/python benchmarks/run.py $(BENCH)

# The multilingual encoder to start from, into runs/encoder/systems/encoder/1; half an
# hour on two cores, kept until its settings or the text change.
encoder: .venv/installed-dev
	$(BIN)/polymux distill examples/distill/encoder.toml \
		--stage corpus --stage tokenizer --stage encoder

# Label Studio for this machine alone, in an environment of its own, telling nobody anything;
# what people label is kept in LABEL_STUDIO_DATA. Up after about a minute.
LABEL_STUDIO_PORT ?= 8080
LABEL_STUDIO_DATA ?= runs/label-studio
label-studio: .label-studio/installed
	LABEL_STUDIO_BASE_DATA_DIR="$(abspath $(LABEL_STUDIO_DATA))" \
		COLLECT_ANALYTICS=false LATEST_VERSION_CHECK=false SENTRY_DSN= FRONTEND_SENTRY_DSN= \
		.label-studio/bin/label-studio start --no-browser \
		--internal-host 127.0.0.1 --port $(LABEL_STUDIO_PORT)

install: .venv/installed-dev

# torch first and alone, so that pip takes the CPU build wherever the machine offers one.
.venv/installed: pyproject.toml constraints.txt
	$(SEE_PYTHON)
	@echo "setting up .venv (once, some minutes)"
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev,docs]'
	@touch $@

.venv/installed-bench: .venv/installed
	$(PIP) --editable '.[bench,distill,openvino,ray]'
	@touch $@

.venv/installed-fuzz: .venv/installed-dev
	$(PIP) --editable '.[fuzz]'
	@touch $@

.label-studio/installed: constraints-label-studio.txt
	$(SEE_PYTHON)
	@echo "setting up .label-studio (once, some minutes, 1 GB)"
	$(PYTHON) -m venv .label-studio
	.label-studio/bin/python -m pip --disable-pip-version-check install --quiet \
		--constraint constraints-label-studio.txt label-studio
	@touch $@

clean:
	rm -rf .venv .label-studio build dist site demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
