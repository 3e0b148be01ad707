# make quickstart   install and run the main experiment; prints where the report is
# make test         lint, types, tests
# make .venv        installation alone
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test lint types unit .venv clean

quickstart: .venv
	$(BIN)/awry run examples/quickstart.yaml

test: lint types unit

lint: .venv
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: .venv
	$(BIN)/pyright

unit: .venv
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

.venv: .venv/installed

# the mark is written last: an installation that broke off is done again
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache
