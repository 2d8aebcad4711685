# `make` alone lists the targets. Everything runs in .venv, which is made when missing.

PYTHON ?= python3
BIN := .venv/bin
SAMPLE := recommender/sample/articles.jsonl
CORPUS ?= $(SAMPLE)
OF_SAMPLE = $(if $(filter $(SAMPLE),$(CORPUS)),recommender/sample/$(1))
RECIPE ?= $(call OF_SAMPLE,recipe.toml)
LABELS ?= $(call OF_SAMPLE,stories.csv)
EVENTS ?= $(call OF_SAMPLE,views.parquet)
MODELS ?= models
PORT ?= 8000
NOTEBOOKS ?= notebooks/*.ipynb

# The tests start many processes, which need not compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo train serve notebooks lab docs settings-page plugin-strings test test-all test-slow test-wordpress test-clients test-nginx test-image fuzz soak check bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## make .venv with all that training, serving and tests need; compile the kernels

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "Installing the developers' tools, which takes some minutes …"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	scratch=$$(mktemp -d) && $(BIN)/recommender train $(SAMPLE) --models-dir $$scratch >/dev/null && rm -r $$scratch
	touch .venv/runtime $@

# What training and serving need, without the developers' tools.
.venv/runtime: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	@echo "Installing what training and serving need …"
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[train]'
	touch $@

demo: .venv/runtime ## train on the sample newsroom, serve it, and print the address of the demo page and a key
	$(BIN)/recommender train $(SAMPLE) --recipe recommender/sample/recipe.toml --models-dir $(MODELS)
	made=$$($(BIN)/recommender key demo --scopes articles+rules+events+read+admin) && echo "$${made%%RECOMMENDER_*}" && \
	RECOMMENDER_WRITE_KEYS="$${made##*_KEYS=}" \
	RECOMMENDER_SITE_NAME="The Caldermark Courier" $(BIN)/recommender serve --models-dir $(MODELS) --port $(PORT)

# make ends with 2 after any failure; `recommender models last-run` ends with the exit status of the training.
train: .venv/runtime ## train on CORPUS (default: the sample), by RECIPE and LABELS if given, and publish
	$(BIN)/recommender train $(CORPUS) --models-dir $(MODELS) $(if $(SUMMARY),--summary $(SUMMARY)) \
		$(if $(RECIPE),--recipe $(RECIPE)) $(if $(LABELS),--labels $(LABELS))

serve: .venv/runtime ## serve the current model on PORT (default: 8000)
	$(BIN)/recommender serve --models-dir $(MODELS) --port $(PORT)

notebooks: install ## run NOTEBOOKS (default: all) on CORPUS, LABELS and EVENTS, and write HTML to notebooks/executed/
	CORPUS=$(abspath $(CORPUS)) LABELS=$(abspath $(LABELS)) EVENTS=$(abspath $(EVENTS)) $(BIN)/jupyter nbconvert --to html --execute \
		--log-level ERROR --output-dir notebooks/executed $(NOTEBOOKS)
	@for page in notebooks/executed/*.html; do echo "file://$(CURDIR)/$$page"; done

lab: install ## open the notebooks in JupyterLab, which is installed if it is missing
	$(BIN)/python -c 'import jupyterlab' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt jupyterlab
	$(BIN)/jupyter lab --notebook-dir notebooks

docs: .venv/docs-installed ## check the prose of the guide, build it as a website with search, and print where it is
	$(BIN)/proselint check --config tests/support/proselint.json README.md CHANGELOG.md ARCHITECTURE.md docs/*.md models/README.md
	$(BIN)/zensical build --strict --clean
	@echo "open build/guide/index.html"

.venv/docs-installed: .venv/installed pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

settings-page: install ## write the page of the guide that lists all settings
	$(BIN)/python -m tests.support.settings_page

plugin-strings: install ## write the template of translations of the WordPress plugin (apt: gettext)
	$(BIN)/python -m tests.support.plugin_strings

test: install ## run the tests, all but the slow ones, and some of the examples of each law
	$(BIN)/pytest -n auto --dist worksteal -m 'not slow' --hypothesis-profile fast $(PYTEST)

test-all: install ## run all the tests: real servers, kills, full disks, a browser
	$(BIN)/pytest -n auto --dist worksteal $(PYTEST)

test-slow: install ## run the slow tests, and the laws with all their examples
	$(BIN)/pytest -n auto --dist worksteal -m 'slow or hypothesis' $(PYTEST)

test-wordpress: install ## try imports and the plugin on a real WordPress (apt: wordpress php-cli php-mysql mariadb-server)
	RECOMMENDER_TEST_WORDPRESS=1 $(BIN)/pytest -m wordpress $(PYTEST)

test-nginx: install ## try a real nginx before the service for seven minutes (apt: nginx-light)
	RECOMMENDER_TEST_NGINX=1 $(BIN)/pytest -m nginx $(PYTEST)

test-image: install ## run the commands of the Dockerfile in an empty folder, without a container engine
	RECOMMENDER_TEST_IMAGE=1 $(BIN)/pytest -m image $(PYTEST)

test-clients: install ## generate clients in Python and TypeScript (npm), check them strictly, and call the service
	RECOMMENDER_TEST_CLIENTS=1 $(BIN)/pytest -m clients $(PYTEST)

fuzz: install ## ask CASES (default: 20,000) made-up requests out of the contract
	$(BIN)/python -m tests.serving.openapi.fuzz --cases $(or $(CASES),20000)

soak: install ## load a server for MINUTES (default: 10) while models, rules, articles and workers come and go
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

check: install ## what CI runs: format, lint, types, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(MAKE) test

bench: install ## measure training and serving; set RECOMMENDER_TEST_DATA for the real corpora
	$(BIN)/python -m tests.benchmarks $(BENCH)

clean: ## remove .venv, caches and build output; published models stay
	rm -rf .venv build dist .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
