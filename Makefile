# What a developer needs, with python3 (3.11 or later), python3-venv and make only.
PYTHON ?= python3
PORT ?= 8000
PIP_FLAGS ?=
PYTEST_FLAGS ?=

BIN := .venv/bin
# Bytecode is made at the first import; making all of it costs a third of the installation.
# Where an environment forbids that, each of hundreds of processes would compile all it imports.
export PYTHONDONTWRITEBYTECODE =
INSTALL = -m pip install --disable-pip-version-check -q --no-compile $(PIP_FLAGS)
ITSELF = --no-deps --no-build-isolation -e .

# The newest Python by name, or from pyenv, for `make test-python`.
NEWEST = $(shell for minor in 14 13 12; do \
	for python in python3.$$minor "$$HOME"/.pyenv/versions/3.$$minor.*/bin/python3.$$minor; do \
	if "$$python" -c "import ensurepip" 2>/dev/null; then echo "$$python"; exit; fi; done; done)

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-postgresql test-browser test-pandas3 test-engines test-superset test-python \
	bench docs screenshots lock format clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.runtime ## Make a shop, score it, and serve it on PORT (8000).
	$(BIN)/shelfwise demo --port $(PORT)

test: .venv/.installed ## Lint, check types and imports, and run the tests.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --durations 0 --durations-min 1 \
	-m "not slow and not postgresql and not browser and not spark and not ibis and not judge and not superset" $(PYTEST_FLAGS)

test-slow: .venv/.installed ## Run the simulations and large inputs, and build the image.
	$(BIN)/pytest -m "slow and not postgresql" $(PYTEST_FLAGS)

test-postgresql: .venv/.installed ## Run what asks for a PostgreSQL, which is started for it.
	$(BIN)/pytest -n 2 --dist loadfile -m "postgresql and not superset" $(PYTEST_FLAGS)

test-browser: .venv/.installed ## Open every page of the dashboard in Chromium.
	$(BIN)/pytest -m browser -n 2 --dist load $(PYTEST_FLAGS)

test-pandas3: .venv-pandas3/.installed ## Run the engine tests with pandas 3.
	.venv-pandas3/bin/pytest tests/test_engines.py -m "not spark and not ibis" $(PYTEST_FLAGS)

test-engines: .venv-engines/.installed ## Run what needs Spark, in this process, Ibis, or other libraries as judges.
	.venv-engines/bin/pytest -m "spark or ibis or judge" -p no:randomly $(PYTEST_FLAGS)

# Not part of .ci/run: the installation takes minutes and most of a gigabyte.
test-superset: .venv/.installed .venv-superset/.installed ## Import the dashboard into a real Superset.
	$(BIN)/pytest -m superset $(PYTEST_FLAGS)

test-python: .venv/.installed ## Run the golden tests with the newest Python here.
	@newest="$(NEWEST)"; \
	here=$$($(BIN)/python -c 'import sys; print(sys.version_info.minor)'); \
	if [ -z "$$newest" ]; then \
		echo "Skipped: there is no Python 3.12, 3.13 or 3.14 here (with venv)."; \
	elif "$$newest" -c "import sys; sys.exit(sys.version_info.minor > $$here)"; then \
		echo "Skipped: no Python here is newer than 3.$$here, which \`make test\` uses."; \
	else \
		$(MAKE) --no-print-directory .venv-newest/.installed PYTHON="$$newest" && \
		.venv-newest/bin/python --version && \
		.venv-newest/bin/pytest tests/test_golden.py $(PYTEST_FLAGS); \
	fi

bench: .venv/.installed ## Measure requests against the plain program and the floor.
	$(BIN)/python benchmarks/http_requests.py

docs: .venv/.installed ## Write the generated reference pages.
	$(BIN)/python docs/generate.py

screenshots: .venv/.installed ## Make pictures of every page of the dashboard in build/screenshots.
	$(BIN)/python docs/screenshots.py

format: .venv/.installed ## Format the code and mend what ruff can mend.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Later files keep to the versions of the earlier ones, so that what is tested is what runs.
COMPILE = .venv-lock/bin/uv pip compile -q --universal --python-version 3.11 --upgrade \
	--fork-strategy fewest --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: .venv-lock/.installed ## Pin the newest fitting versions in requirements/.
	$(COMPILE) pyproject.toml --extra all --group dev -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra all -c requirements/dev.txt -o requirements/serve.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt
	$(COMPILE) pyproject.toml --group pandas3 -o requirements/pandas3.txt
	$(COMPILE) pyproject.toml --extra all --group engines -c requirements/dev.txt \
		-o requirements/engines.txt
	$(COMPILE) --group superset -o requirements/superset.txt

clean: ## Remove the environments and everything generated.
	rm -rf .venv .venv-* build dist demo .*_cache .coverage .hypothesis
	find src tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# A virtual environment in the folder $(1); what is missing is said, not guessed.
define venv
@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11" \
	"or later, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shelfwise needs" \
	"Python 3.11 or later; this is $$($(PYTHON) --version 2>&1)." \
	"Name a newer one: make PYTHON=python3.13" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv." \
	"On Debian: apt install python3-venv" >&2; exit 1; }
@echo "Installing into $(1)"
@$(PYTHON) -m venv $(1)
endef

# What the program needs to run, from the lock, and the program itself.
.venv/.runtime: requirements/serve.txt requirements/build.txt pyproject.toml
	$(call venv,.venv)
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements/serve.txt -r requirements/build.txt
	@$(BIN)/python $(INSTALL) $(ITSELF)
	@touch $@

# The same and all tools of development.
.venv/.installed: requirements/dev.txt .venv/.runtime
	@$(BIN)/python $(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

.venv-pandas3/.installed: requirements/pandas3.txt pyproject.toml
	$(call venv,.venv-pandas3)
	@.venv-pandas3/bin/python $(INSTALL) --require-hashes -r requirements/pandas3.txt
	@.venv-pandas3/bin/python $(INSTALL) $(ITSELF)
	@touch $@

.venv-engines/.installed: requirements/engines.txt pyproject.toml
	$(call venv,.venv-engines)
	@.venv-engines/bin/python $(INSTALL) --require-hashes -r requirements/engines.txt
	@.venv-engines/bin/python $(INSTALL) $(ITSELF)
	@touch $@

.venv-superset/.installed: requirements/superset.txt
	$(call venv,.venv-superset)
	@.venv-superset/bin/python $(INSTALL) --require-hashes -r requirements/superset.txt
	@touch $@

.venv-newest/.installed: requirements/dev.txt pyproject.toml
	$(call venv,.venv-newest)
	@.venv-newest/bin/python $(INSTALL) --require-hashes -r requirements/dev.txt
	@.venv-newest/bin/python $(INSTALL) $(ITSELF)
	@touch $@

.venv-lock/.installed: Makefile
	$(call venv,.venv-lock)
	@.venv-lock/bin/python $(INSTALL) "uv>=0.13,<0.14"
	@touch $@
