# Each command does its own set-up in .venv; `make clean` takes everything of it away.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
READY := .venv/.ready
VIEWER := api/viewer/dist/.built
VIEWER_SOURCES := $(wildcard api/viewer/*.html api/viewer/*.json api/viewer/*.ts) \
	$(shell find api/viewer/src api/viewer/public -type f)

# Where this is set, every one of the many processes would compile all of the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo run viewer test soak-dwd lint types bench constraints clean

demo: $(READY) $(VIEWER)
	$(BIN)/python -m deploy.local demo

run: $(READY) $(VIEWER)
	$(BIN)/python -m deploy.local run

viewer: $(VIEWER)

test: $(READY) $(VIEWER)
	cd api/viewer && PATH="$(abspath $(BIN)):$$PATH" npm test --silent
	$(BIN)/python -m pytest -n 4 --dist worksteal

# Three thousand faults and a played week; `make test` has a short form of both.
soak-dwd: $(READY)
	DWD_SOAK=1 $(BIN)/python -m pytest -n 2 --timeout 3600 tests/dwd_assets/test_faults.py tests/dwd_assets/test_played_day.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

constraints: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt pyproject.toml

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m bzip2
	touch $@

# Node comes as a Python package, into .venv/bin.
$(VIEWER): $(VIEWER_SOURCES) | $(READY)
	cd api/viewer && export PATH="$(abspath $(BIN)):$$PATH" && npm ci --silent && npm run build --silent
	touch $@

clean:
	rm -rf api/viewer/dist api/viewer/node_modules
	rm -rf .venv .demo .run build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .grimp_cache .import_linter_cache
