# Two commands matter: `make book` and `make test`. `make help` lists the others.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
BUILD := build

# make reproduce: a data set in OTB's folder format, and what to run on it; with TEMPLATE, a notebook
# of book/reproduction, else what the file of results lacks, and the pages that are made from it
TEMPLATE ?=
DATA ?= embedded
SPLIT ?=
TRACKERS ?=
PROTOCOL ?=
SEEDS ?=
CONVENTIONS ?=
DEVICE ?= auto
WORKERS ?= 1
SCHEDULER ?=
STORE ?=
PARAMETERS ?=
OUT ?= $(BUILD)/reproduce
RESULTS := $(if $(filter embedded,$(DATA)),embedded,otb)
FILE ?= $(OUT)/$(RESULTS).npz
SMOKE := $(BUILD)/smoke
PAGES := five_trackers paper_and_reproduction $(addprefix paper_,msdat fdn rtmdnet dlst deeptrack)

# make test: how many of the slowest to list
DURATIONS ?=
# make trust: of the processor, for all trackers in turn
MINUTES ?= 30

comma := ,
space := $(subst ,, )
LIBRARY := $(shell find trackerlib data -name '*.py' -o -name '*.json' -o -name '*.safetensors')
NB ?= $(shell find book -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*')
BOOK := $(shell find book -type f -not -path '*/.ipynb_checkpoints/*') _config.yml _toc.yml
TABLE := $(BUILD)/otb_table.ipynb
HTML := $(BUILD)/_build/html/index.html
# Pages are there before the book is whole.
BUILT := $(BUILD)/book.built
LOWEST := $(BUILD)/lowest
ONE_PAGE := $(BUILD)/single/_build/singlehtml/index.html
PDF := $(BUILD)/book.pdf
CHROMIUM := $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))
# Chromium's sandbox refuses root; the pages are our own.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--no-sandbox)

# Every file that is installed is one whose hash is known; --no-deps, since the locks name them all.
LOCKED := --no-deps --require-hashes

# Idle threads that spin take the core from those that work.
export OMP_WAIT_POLICY := PASSIVE
# The environment's own kernel, whatever else is installed for this user.
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

# Stored outputs are a CPU's, in the one mode that every CPU has, so that they can be compared everywhere.
ON_CPU := CUDA_VISIBLE_DEVICES= TRACKERLIB_MODE=float32 OMP_NUM_THREADS=1
# Another processor's arithmetic, as near as this one comes to it.
ARITHMETIC := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=AVX2
PYTEST := $(BIN)/python -m pytest $(if $(DURATIONS),--durations=$(DURATIONS))
UNIT_TESTS := TRACKERLIB_MODE=float32 OMP_NUM_THREADS=1 $(PYTEST) --dist loadfile --no-loadscope-reorder
NBVAL := $(ON_CPU) TRACKERLIB_RECORDED=read $(PYTEST) --nbval --nbval-cell-timeout 600 -n auto --dist loadfile book

.PHONY: help book pdf check test trust test-arithmetic lab reproduce reproduce-smoke notebooks record bands bench bench-backbones bench-trackers doctor lock lower-bounds licences clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(BUILT) ## run the reproduction on the embedded benchmark, render the book
	@echo "The book is built: open $(abspath $(HTML))"

pdf: $(if $(CHROMIUM),$(BUILT)) ## the whole book as one PDF, printed by Chromium
	$(if $(CHROMIUM),$(PRINT),@echo "No PDF: no chromium on the path; apt-get install chromium brings it")

define PRINT
$(BIN)/jupyter-book build $(BUILD)/source --path-output $(BUILD)/single --builder singlehtml
	cp $(dir $(ONE_PAGE))book/index.html $(ONE_PAGE)
	"$(CHROMIUM)" --headless $(AS_ROOT) --no-pdf-header-footer --virtual-time-budget=60000 \
	  --print-to-pdf="$(abspath $(PDF))" "file://$(abspath $(ONE_PAGE))"
	@echo "The book is printed: open $(abspath $(PDF))"
endef

check: $(READY) ## style, types and the fast tests
	$(BIN)/python -m trackerlib data render
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(UNIT_TESTS) -n 2 -m "not slow"

test: $(READY) ## run everything that is tested; the slowest tests: DURATIONS=20
	$(BIN)/python -m trackerlib data render
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(UNIT_TESTS) -n auto
	$(NBVAL)

trust: $(READY) ## what takes long: fuzzing, the hostile table, faults put into the code, all trackers for MINUTES=30
	mkdir -p $(BUILD)
	$(UNIT_TESTS) -n auto --hypothesis-profile=trust tests/fuzz tests/eval/test_kill.py
	LAB_CHAPTERS=whole $(UNIT_TESTS) tests/book/test_lab.py
	TRACKERLIB_MODE=float32 $(BIN)/python -m benchmarks.hostile --json $(BUILD)/hostile.json
	diff data/hostile.json $(BUILD)/hostile.json
	TRACKERLIB_MODE=float32 $(BIN)/python -m benchmarks.repeatable --json $(BUILD)/repeatable.json
	diff data/repeatable.json $(BUILD)/repeatable.json
	TRACKERLIB_MODE=float32 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.mutants --json $(BUILD)/mutants.json
	TRACKERLIB_MODE=float32 OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

test-arithmetic: $(READY) ## compare the notebooks' outputs under another processor's arithmetic
	$(BIN)/python -m trackerlib data render
	$(ARITHMETIC) $(NBVAL) --arithmetic

lab: $(READY) ## open JupyterLab with the project's kernel
	$(BIN)/jupyter lab book

reproduce: $(READY) ## results that are missing or stale on your data, and their pages: DATA= TRACKERS= ... or TEMPLATE=
	mkdir -p "$(OUT)"
	$(if $(TEMPLATE),$(RUN_TEMPLATE),$(RUN_MISSING))
	$(BIN)/jupyter nbconvert --to html $(if $(TEMPLATE),"$(OUT)/$(TEMPLATE).ipynb",$(PAGES:%="$(OUT)/%.ipynb"))
	@echo "Open $(abspath $(OUT))/$(or $(TEMPLATE),$(firstword $(PAGES))).html"

define RUN_TEMPLATE
$(BIN)/papermill book/reproduction/$(TEMPLATE).ipynb "$(OUT)/$(TEMPLATE).ipynb" \
	  -r data "$(DATA)" -r device "$(DEVICE)" -p workers $(WORKERS) \
	  -r scheduler "$(SCHEDULER)" -r store "$(STORE)" $(if $(SPLIT),-r split "$(SPLIT)") \
	  $(if $(TRACKERS),-r trackers "$(TRACKERS)") $(if $(PROTOCOL),-r protocol "$(PROTOCOL)") \
	  $(if $(CONVENTIONS),-r conventions "$(CONVENTIONS)") \
	  $(if $(SEEDS),-y "seeds: [$(subst $(space),$(comma),$(strip $(SEEDS)))]") $(PARAMETERS)
endef

define RUN_MISSING
$(BIN)/python -m benchmarks.reproduce --data "$(DATA)" --file "$(FILE)" \
	  --store "$(or $(STORE),$(OUT)/store)" --device "$(DEVICE)" --workers $(WORKERS) \
	  $(if $(SPLIT),--split "$(SPLIT)") $(if $(TRACKERS),--trackers $(TRACKERS)) \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")
	$(call PAGES_OF,$(OUT),$(FILE),$(RESULTS))
endef

# The pages of a folder, a file of results, and a data set in it.
define PAGES_OF
for page in $(PAGES); do \
	  $(BIN)/papermill --cwd book/reproduction "book/reproduction/$$page.ipynb" "$(1)/$$page.ipynb" \
	    -r results "$(abspath $(2))" -r dataset "$(3)" || exit 1; \
	done
endef

reproduce-smoke: $(READY) ## every row of every table of the papers on three frames; shows no results
	mkdir -p $(SMOKE)
	$(BIN)/python -m trackerlib data render
	$(ON_CPU) $(BIN)/python -m benchmarks.smoke --file $(SMOKE)/embedded.npz \
	  --store $(SMOKE)/store --workers 2
	$(call PAGES_OF,$(SMOKE),$(SMOKE)/embedded.npz,embedded)

notebooks: $(READY) ## run the book's notebooks again, with recorded runs, and store their outputs: NB=
	$(BIN)/python -m trackerlib data render
	$(BIN)/python -m benchmarks.notebooks read $(NB)

record: $(READY) ## the same with live runs, which are recorded in data/results: NB=
	$(BIN)/python -m trackerlib data render
	$(BIN)/python -m benchmarks.notebooks write $(NB)

bands: $(READY) ## measure how far live runs differ between processors: NB=
	$(BIN)/python -m trackerlib data render
	$(BIN)/python -m benchmarks.bands $(NB)

bench: $(READY) ## time the ops beside the floor of memory bandwidth, and the backbone: DEVICE=cuda for the GPU
	$(BIN)/python -m benchmarks.ops --device $(if $(filter auto,$(DEVICE)),cpu,$(DEVICE))
	$(BIN)/python -m benchmarks.nets --device $(if $(filter auto,$(DEVICE)),cpu,$(DEVICE))

bench-backbones: $(READY) ## what backbones are worth for tracking, resumed if stopped: DATA= EVERY= SEEDS= ...
	$(BIN)/python -m benchmarks.backbones --data "$(DATA)" --split "$(or $(SPLIT),all)" \
	  --every $(or $(EVERY),1) --store "$(or $(STORE),$(BUILD)/backbones)"
	$(BIN)/python -m benchmarks.detection --data "$(DATA)" --split "$(or $(SPLIT),all)" \
	  --seeds $(or $(SEEDS),0) --workers $(WORKERS) --store "$(or $(STORE),$(BUILD)/backbones)/detection"

bench-trackers: $(READY) ## every tracker's speed beside an earlier checkout's: DATA= SPLIT= OLD=folder
	$(BIN)/python -m trackerlib data render
	$(BIN)/python -m benchmarks.speed --data "$(DATA)" $(if $(SPLIT),--split "$(SPLIT)") \
	  $(if $(OLD),--old "$(OLD)") --json "$(BUILD)/speed.json"

doctor: $(READY) ## what is there, what is missing, how fast this machine is, and what to do
	$(BIN)/python -m trackerlib doctor

lower-bounds: $(READY) ## the core's tests with the oldest versions that pyproject.toml admits
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct -e ".[eval,video]" \
	  $(shell grep -E '^(pytest|hypothesis)==' requirements.txt)
	TRACKERLIB_MODE=float32 OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -m "not slow" \
	  $(addprefix tests/,test_boxes.py data eval nets ops trackers weights)

licences: $(READY) ## what the installed packages say of theirs; fails where one may not go with MIT
	$(BIN)/python tests/licences.py

clean: ## remove what was built (not the environment, nor the rendered benchmark)
	rm -rf $(BUILD)

$(READY): requirements.lock requirements-cuda.lock requirements-torch-cpu.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(LOCKED) -r requirements-torch-cpu.lock 2>/dev/null \
	  || echo "pip was given no PyTorch without CUDA: the default build is installed"
	$(BIN)/python -m pip install --quiet $(LOCKED) -r requirements.lock
	if $(BIN)/python -m pip check | grep -qE '^torch .* requires (nvidia|cuda)-'; then \
	  $(BIN)/python -m pip install --quiet $(LOCKED) -r requirements-cuda.lock; fi
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# What PyTorch's build for CUDA adds has a file of its own, and so has its build without CUDA, whose
# hashes no package index of Python's knows: the version in requirements-torch-cpu.lock is by hand.
lock: $(READY) ## write the locks anew from requirements.txt, with the hash of every file
	mkdir -p $(BUILD)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header requirements.txt --output-file $(BUILD)/all.lock
	rm -f requirements.lock requirements-cuda.lock
	awk '/^[a-z]/ {out = /^(nvidia|cuda)-/ ? "requirements-cuda.lock" : "requirements.lock"} \
	  {print > out}' $(BUILD)/all.lock

$(TABLE): book/reproduction/otb_table.ipynb $(LIBRARY) $(READY)
	mkdir -p $(BUILD)
	$(BIN)/python -m trackerlib data render
	$(BIN)/papermill $< $(BUILD)/draft.ipynb
	mv $(BUILD)/draft.ipynb $@

# The book is built from a copy in which the table is the one just computed; from nothing where
# the last build did not end: Sphinx would keep half a page, and not repeat what it warned of.
$(BUILT): $(TABLE) $(BOOK)
	test -e $@ || rm -rf $(BUILD)/_build
	rm -f $@
	mkdir -p $(BUILD)/source
	cp -Rp book _config.yml _toc.yml $(BUILD)/source/
	cp -p $(TABLE) $(BUILD)/source/book/reproduction/
	$(BIN)/jupyter-book build $(BUILD)/source --path-output $(BUILD) -W --keep-going
	touch $@
