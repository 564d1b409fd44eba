# make search   set up, then run the main job on the photographs inside the dependencies
# make test     set up with every extra, then run the quick tests, in WORKERS=2 processes
# make test-slow  the slow ones, make test-all both
# make check    style and types

PYTHON ?= python3
VENV ?= .venv
BUDGET ?= 400k
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

search: $(VENV)/core.done
	$(VENV)/bin/python -m search run --budget $(BUDGET)

test: $(VENV)/all.done
	$(PYTEST)

test-slow: $(VENV)/all.done
	$(PYTEST) -m "slow and not sweep and not gpu"

test-all: $(VENV)/all.done
	$(PYTEST) -m "not gpu and not sweep"

check: $(VENV)/all.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

$(VENV)/core.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/all.done: $(VENV)/core.done
	$(PIP) --editable ".[dev,ray,nni,onnx]"
	touch $@

.PHONY: search test test-slow test-all check
