# Two commands: `make report` and `make test`. Each sets up .venv first if that is needed.
# uv is used where it is installed, pip otherwise. Another Python: make report PYTHON=/path/to/python3.12

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help report test lint types check benchmarks lab lock clean
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONPATH PYTHONHOME

BIN := .venv/bin
READY := .venv/.ready
DEMO := reports/demo/compare_forecasts
# what the demo report is made from; tables/ is built from export/ and so left out, and so is the monitor's ledger/
SOURCES := notebooks/compare_forecasts.ipynb \
	$(shell find forecasteval -name '*.py' -o -name '*.j2' -o -name '*.css') \
	$(shell find data/demo \( -name tables -o -name ledger -o -name __pycache__ \) -prune -o -type f ! -name '.*' -print 2>/dev/null)

help: ## List what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/' | expand -t 16
	@echo "  PYTHON=...    choose the Python (3.11, 3.12 or 3.13) that .venv is made with"

report: $(DEMO)/manifest.json ## Make the report on the demo data and say where it is
	@echo "Report: $(CURDIR)/$(DEMO)/report.html"

$(DEMO)/manifest.json: $(READY) $(SOURCES)
	@echo "Running notebooks/compare_forecasts.ipynb on data/demo ..."
	@$(BIN)/forecasteval report compare_forecasts --data data/demo --out reports/demo >/dev/null
	@touch $@

test: $(READY) ## Run the tests
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(READY) ## Check style and formatting, notebooks too
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## Check the types of the package
	$(BIN)/mypy

check: lint types test ## Style, types, tests

benchmarks: $(READY) ## Print speed, coverage and error rates beside other tools (about fifteen minutes)
	@cd tests/benchmarks && for each in compare_speed engines states_speed "beside_others --large" other_intervals "planning_against_simulation" \
	  "false_alarms_weekly 500"; do set -- $$each; echo "== $$1"; ../../$(BIN)/python $$1.py $$2; done

lab: $(READY) ## Open JupyterLab on copies of the notebooks; LAB="--ip 0.0.0.0 --port 8888 --no-browser" in a container
	$(BIN)/forecasteval lab $(LAB)

lock: ## Choose the newest allowed versions again and write requirements.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --upgrade \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean: ## Remove .venv, the demo report, the built tables and all caches
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(DEMO) data/demo/tables data/demo/ledger
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Names on the PATH may be shims that fail, so every candidate is run before it is chosen.
$(READY): requirements.lock pyproject.toml
	@set -e; \
	fits='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	python=; \
	for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python); do \
	  if "$$candidate" -c "$$fits" >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "No working Python 3.11, 3.12 or 3.13 (with venv) was found as: $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	version=$$("$$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'); \
	have=$$($(BIN)/python -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true); \
	if uv --version >/dev/null 2>&1; then tool=uv; else tool=pip; fi; \
	echo "Setting up .venv with Python $$version and $$tool: once, a minute or so ..."; \
	if [ "$$have" != "$$version" ]; then rm -rf .venv; "$$python" -m venv $$([ $$tool = uv ] && echo --without-pip) .venv; fi; \
	if [ $$tool = uv ]; then \
	  uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock; \
	  uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes -r requirements.lock; \
	  $(BIN)/python -m compileall -qq -j 0 .venv/lib || true; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi; \
	$(BIN)/python -m compileall -q forecasteval; \
	touch $@
