# make run: tunes the bundled default.  make test: checks and tests.  make test-slow: what takes
# minutes.  All install what they need.
VENV ?= .venv
ARGS ?=
SOURCES = pyproject.toml constraints.txt scripts/install

.PHONY: run test test-slow check clean

run: $(VENV)/.installed
	$(VENV)/bin/sieve run $(ARGS)

PYTEST = $(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow $(ARGS)

check: $(VENV)/.installed-dev
	scripts/check $(VENV)/bin

$(VENV)/.installed: $(SOURCES)
	scripts/install $(VENV)
	touch $@

$(VENV)/.installed-dev: $(SOURCES)
	scripts/install $(VENV) dev
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
