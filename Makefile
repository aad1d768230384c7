# make run: tunes the bundled default.  make test: checks and tests.  Both install what they need.
VENV ?= .venv
ARGS ?=
SOURCES = pyproject.toml constraints.txt scripts/install

.PHONY: run test check clean

run: $(VENV)/.installed
	$(VENV)/bin/sieve run $(ARGS)

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

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
