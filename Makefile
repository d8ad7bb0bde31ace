# Every target sets itself up first: `make demo` and `make test` work in a fresh checkout.
PY := .venv/bin/python
STAMP := .venv/.setup-done

.PHONY: setup demo test test-plain test-ui fuzz soak lint bench papers train train-perception train-edits gpu-check

setup: $(STAMP)

# The stamp is older than the lock after a pull that changed it: pip then installs only the difference.
$(STAMP): requirements-dev.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" sh scripts/setup.sh
	@touch $@

demo: setup
	$(PY) -m pipeline_core demo -o out/demo

lint: setup
	$(PY) -m ruff check .

# One process a core and one thread each: the networks of the tests are too small to share out. Files stay whole, because
# their fixtures (models, a ComfyUI server for each process) cost more than their tests. In their order: the long files
# of few tests must not come last, when the other process has nothing left.
JOBS ?= 2
PYTEST = $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: lint
	OMP_NUM_THREADS=1 $(PYTEST)

# Other instructions and threads take sums in another order: the core's tests whose numbers could tell.
NUMBERS = $(addprefix tests/,conditions diffusion job/test_enhance.py longvideo metrics models/folders models/networks \
	perception video world)

test-plain: setup
	@echo "the core's tests on plain instructions and two threads:"
	ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE $(PYTEST) $(NUMBERS)

# Every shipped graph in ComfyUI's own frontend, run on the canvas and in Nodes 2.0: a quarter of an hour.
test-ui: setup
	UI=1 OMP_NUM_THREADS=1 $(PY) -m pytest tests/comfy/ui

# The doors under 2,000 damaged files, odd values and paths, other ones every time unless SEED names them; 50 kills, and
# 20 each of terms, interrupts and full disks. FUZZ_JSON names a file for the figures.
SEED ?= $(shell date +%s)
fuzz: setup
	FUZZ=2000 FAULTS=50 OMP_NUM_THREADS=1 $(PYTEST) --hypothesis-seed=$(SEED) tests/doors

# On the best device there is, in 8 minutes; DEVICE=pretend SMALL=--small is a rehearsal. docs/gpu.md says more.
gpu-check: setup
	$(PY) scripts/gpu_check.py $(if $(DEVICE),--device $(DEVICE)) $(SMALL)

# COMFYUI names another ComfyUI. Ends after so many minutes or prompts, whichever comes first. SOAK_JSON names a file for
# the figures.
MINUTES ?= 60
PROMPTS ?= 500
COMFYUI ?= ~/comfy/ComfyUI
soak: setup
	$(PY) scripts/soak.py --minutes $(MINUTES) --prompts $(PROMPTS) --comfyui $(COMFYUI) $(if $(SOAK_JSON),--json $(SOAK_JSON))

bench: setup
	@mkdir -p benchmarks/out
	$(PY) benchmarks/embedded.py --json benchmarks/out/embedded.json

# The papers' tables and their page, docs/results.md; each but starts goes on from the row at which it was cut off.
PAPERS := starts conditions cfg calibration maps prompts longvideo downstream
papers: setup
	for table in $(PAPERS); do \
		$(PY) benchmarks/papers/$$table.py --json benchmarks/results/papers/$$table.json || exit 1; done
	$(PY) benchmarks/papers/page.py

# Goes on from where it was stopped; RUN=folder and CORE=number choose another. docs/training.md says more.
RUN := training/runs/long
CORE := 1
train: setup
	$(PY) -m training run --core $(CORE) --out $(RUN)

# The world's own perception networks, one after the other; each goes on from where it was stopped.
train-perception: setup
	for network in depth segmentation detector text_image; do \
		$(PY) -m training.perception $$network --core $(CORE) || exit 1; done

# The model that edits by instruction, on exact pairs of the world; goes on from where it was stopped.
train-edits: setup
	$(PY) -m training.edits --core $(CORE)
