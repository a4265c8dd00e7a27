# Each target sets up what it needs: Python >= 3.11 and make are enough.
.PHONY: demo test check docs bench encoder install clean
.DEFAULT_GOAL := demo

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
# Two processes of one thread each: on two cores faster than one process of two threads.
WORKERS ?= 2

demo: .venv/installed
	$(BIN)/polymux demo

test: .venv/installed-dev
	OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest --numprocesses $(WORKERS) $(PYTEST)

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# POLYMUX_DATA names the corpora; BENCH holds parts and options, such as BENCH='memory --quick'.
BENCH ?= --million
bench: .venv/installed-bench
	$(BIN)/python benchmarks/run.py $(BENCH)

# The multilingual encoder to start from, into runs/encoder/systems/encoder/1; half an
# hour on two cores, kept until its settings or the text change.
encoder: .venv/installed-dev
	$(BIN)/polymux distill examples/distill/encoder.toml \
		--stage corpus --stage tokenizer --stage encoder

install: .venv/installed-dev

# torch first and alone, so that pip takes the CPU build wherever the machine offers one.
.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "polymux needs Python 3.11 or later: make PYTHON=/path/to/python3" >&2; exit 1; }
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

clean:
	rm -rf .venv build dist site demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
