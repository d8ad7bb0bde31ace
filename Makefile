# Every target sets itself up first: `make demo` and `make test` work in a fresh checkout.
PY := .venv/bin/python
STAMP := .venv/.setup-done

.PHONY: setup demo test lint bench train

setup: $(STAMP)

# The stamp is older than the lock after a pull that changed it: pip then installs only the difference.
$(STAMP): requirements-dev.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh
	@touch $@

demo: setup
	$(PY) -m pipeline_core demo -o out/demo

lint: setup
	$(PY) -m ruff check .

test: lint
	$(PY) -m pytest

bench: setup
	@mkdir -p benchmarks/out
	$(PY) benchmarks/embedded.py --json benchmarks/out/embedded.json

# Goes on from where it was stopped; RUN=folder and CORE=number choose another. docs/training.md says more.
RUN := training/runs/long
CORE := 1
train: setup
	$(PY) -m training run --core $(CORE) --out $(RUN)
