# make search   set up, then run the main job on the photographs inside the dependencies
# make test     set up with every extra, then run the quick tests
# make test-all also the slow ones
# make check    style and types

PYTHON ?= python3
VENV ?= .venv
BUDGET ?= 400k
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

search: $(VENV)/core.done
	$(VENV)/bin/python -m search run --budget $(BUDGET)

test: $(VENV)/all.done
	$(VENV)/bin/python -m pytest

test-all: $(VENV)/all.done
	$(VENV)/bin/python -m pytest -m "not gpu and not sweep"

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

.PHONY: search test test-all check
