# Every target prepares .venv first; see .ci/bootstrap.sh. Extra arguments: make test ARGS='-k name'.
.DEFAULT_GOAL := help
.PHONY: run test demo check app bundle audit lock docs clients bench soak fuzz clean help

BOOTSTRAP := @sh .ci/bootstrap.sh
BIN := .venv/bin
ARGS :=
# Whole files are dealt out, so that a file's tests still run in order and share their fixtures.
# More of them at a time than there are cores: most tests wait for a process most of the time.
# A worker that dies ends the run; to replace one makes pytest-xdist 3.8 wait for ever.
PARALLEL := --numprocesses 4 --dist loadfile --max-worker-restart 0
PYTEST := QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(BIN)/python -m pytest

run: ## Start the app
	$(BOOTSTRAP)
	@$(BIN)/python -m app $(ARGS)

test: ## Run the tests and all checks
	$(BOOTSTRAP)
	@$(PYTEST) $(PARALLEL) $(ARGS)

demo: ## Start a server with the demo model and talk to it
	$(BOOTSTRAP)
	@$(BIN)/python tests/scripts/demo.py $(ARGS)

check: ## Run the linters, the type checker and the import contracts
	$(BOOTSTRAP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/pyright
	$(BIN)/deptry .

app: ## Build the program that runs by double-click, into dist/
	@sh .ci/bootstrap.sh app
	$(BIN)/pyinstaller --noconfirm --distpath dist --workpath .build build.spec

bundle: ## Build that program and test it
	@sh .ci/bootstrap.sh app
	@$(PYTEST) -m bundle -s $(ARGS)

audit: ## Look up known vulnerabilities of everything in requirements.lock
	$(BOOTSTRAP)
	@PATH="$$PATH:$$PWD/.tools/bin" uvx pip-audit@2.10.1 --requirement requirements.lock \
		--require-hashes --disable-pip --strict --progress-spinner off $(ARGS)

lock: ## Bring requirements.lock in line with pyproject.toml (ARGS=--upgrade for newer versions)
	$(BOOTSTRAP)
	@PATH="$$PATH:$$PWD/.tools/bin" uv pip compile pyproject.toml --group dev --universal \
		--generate-hashes --no-header --no-annotate --python-version 3.11 --quiet \
		--output-file requirements.lock $(ARGS)

docs: ## Rewrite docs/reference.md and docs/openapi.json from the tables in app/wire
	$(BOOTSTRAP)
	@$(BIN)/python tests/scripts/make_reference.py

clients: ## Download Aider and OpenAI's package for Node, and run them against a server
	$(BOOTSTRAP)
	@$(PYTEST) -m clients $(ARGS)

bench: ## Run the measurements
	$(BOOTSTRAP)
	@$(PYTEST) -o faulthandler_timeout=0 -m benchmark -s $(ARGS)

soak: ## Run the long tests
	$(BOOTSTRAP)
	@$(PYTEST) -o faulthandler_timeout=0 -m soak $(ARGS)

fuzz: ## Fuzz every parser much longer than `make test` does
	$(BOOTSTRAP)
	@FUZZ_RUNS=$${FUZZ_RUNS:-500000} $(PYTEST) -o faulthandler_timeout=0 tests/fuzz $(ARGS)

clean: ## Delete everything that make has made
	rm -rf .venv .tools .build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find app tests -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s  %s\n", $$1, $$2 }' Makefile
