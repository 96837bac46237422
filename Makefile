# A thin wrapper. The commands behind each target are in README.md and work without make, on Windows too.

PYTHON ?= python3
ARGS ?=
NOTEBOOK ?=

VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/ready
PEERS := $(VENV)/peers

.DEFAULT_GOAL := help
.PHONY: help lab test lint format bench execute exercises

help:
	@echo "make lab                  open the course in JupyterLab: your own copies, in my_work/"
	@echo "make test                 unit tests, and every notebook compared with its stored outputs"
	@echo "make test NOTEBOOK=02     one lesson with its exercises and solutions"
	@echo "make lint                 ruff and mypy"
	@echo "make format               let ruff rearrange the code"
	@echo "make bench                the speed comparisons in benchmarks/"
	@echo "make exercises            make the exercise notebooks from the solutions, and run them"
	@echo "make execute              run all notebooks again and store their outputs; NOTEBOOK=02 for one lesson"
	@echo "Add ARGS=\"...\" for options of the program behind a target, PYTHON=python3.12 (before the first make) for another interpreter."

# The environment is set up again whenever what it should contain has changed.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no program $(PYTHON) here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The course needs Python 3.11 or newer, but $(PYTHON) is Python " + sys.version.split()[0] + ". Name a newer one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -c constraints.txt -e ".[dev]"
	@touch $@

lab: $(READY)
	$(RUN) -m tools.lab $(ARGS)

LESSON := $(wildcard $(foreach folder,notebooks notebooks/exercises notebooks/solutions,$(folder)/$(NOTEBOOK)*.ipynb))

test: $(READY)
ifneq ($(NOTEBOOK),)
	$(if $(LESSON),,$(error There is no notebook whose name begins with "$(NOTEBOOK)"))
	$(RUN) -m pytest -n 0 --dist loadscope $(ARGS) $(LESSON)
else
	$(RUN) -m pytest -n auto --dist loadscope $(ARGS)
endif

lint: $(READY)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(READY)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# The peers to compare with are large (JAX among them), and nobody else needs them.
$(PEERS): $(READY)
	$(RUN) -m pip install -c constraints.txt -e ".[bench]"
	@touch $@

bench: $(PEERS)
	$(RUN) -m benchmarks $(ARGS)

execute: $(READY)
	$(RUN) -m tools.execute $(NOTEBOOK)
	$(RUN) -m tools.readme_figure
	$(RUN) -m tools.course_map
	$(RUN) -m tools.house

exercises: $(READY)
	$(RUN) -m tools.exercises
	$(RUN) -m tools.execute exercises/$(NOTEBOOK)
