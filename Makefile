# Everything on a fresh machine with Python 3.11 to 3.13, make and git: `make repro` runs the pipeline, `make test` the
# tests. Both set up .venv first, with exact versions; nothing is compiled and nothing else is installed.

PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3 python,$(if $(shell $(name) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo ok),$(name))))
GPU := $(shell nvidia-smi -L 2>/dev/null | head -n 1)
REQUIREMENTS := $(if $(GPU),requirements-gpu.txt,requirements.txt)
DONE := .venv/.installed-$(REQUIREMENTS)

export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro restore ask app test setup cloud pipeline docs requirements study study-plot study-picture noise

repro: setup
	python -m src.params check
	dvc repro
	@python -m src.certificate write
	@python -m src.summary

# The last results again, after a stage that failed or was killed: DVC removes a stage's outputs before it runs.
restore: setup
	@python -m src.restore

# The exported model's description of a title, with its sources: make ask TITLE="Oak Desk Lamp, 30 cm"
# The title goes on as it was typed, with `value`: make would read a dollar in it.
override TITLE := $(value TITLE)
export TITLE

ask: setup
	@python -m src.serving.ask -- "$$TITLE"

# The page to try the exported model, on this machine alone.
app: setup
	@python -m src.serving.app

test: setup
	python -m pytest

setup: $(DONE)

$(DONE): $(REQUIREMENTS) requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found: install one, or name it with 'make PYTHON=/path/to/python'."; exit 1; }
	@echo "$(if $(GPU),NVIDIA GPU found ($(GPU)): installing requirements-gpu.txt with Unsloth.,No NVIDIA GPU found: installing requirements.txt$(,) everything runs on the CPU.)"
	$(PYTHON) -m venv .venv
	@echo "pip installs some 170 packages now, a minute or several by the network, and prints nothing meanwhile."
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

# Packages that not everybody needs, a file of extras/ each: make extra-s3, extra-ssh, extra-tensorboard ...
extra-%: setup
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r extras/$*.txt

# SkyPilot, which borrows GPUs (docs/cloud.md), in an environment of its own: make cloud CLOUDS=aws,kubernetes
CLOUDS :=
cloud:
	test -d .venv-cloud || $(PYTHON) -m venv .venv-cloud
	.venv-cloud/bin/python -m pip install --quiet --disable-pip-version-check -r cloud/requirements.txt
	$(if $(CLOUDS),.venv-cloud/bin/python -m pip install --quiet --disable-pip-version-check --constraint cloud/requirements.txt "skypilot[$(CLOUDS)]")

# Writes into dvc.yaml which source files each stage depends on.
pipeline: setup
	python -m src.pipeline

# Writes the tables and results of README.md and docs/ anew.
docs: setup
	python -m docs.build

# An experiment for each template and learning rate, queued, run one after the other, and drawn in one plot.
RATES := 1e-5 2e-5 3e-5 5e-5
TEMPLATES := chat alpaca
STUDY = --rates $(RATES) --templates $(TEMPLATES)

study: setup
	@python -m src.study run $(STUDY)

# The plot alone, as DVC's page and as docs/learning-rates.svg.
study-plot: setup
	@python -m src.study plot $(STUDY)

study-picture: setup
	@python -m src.study picture $(STUDY)

# The same commit trained under each seed, an experiment each, and how far the scores differ: make noise SEEDS="1 2 3"
SEEDS := 1 2 3

noise: setup
	@python -m src.noise run --seeds $(SEEDS)

# Resolves requirements.in and those of extras/ anew; commit the result.
EXTRAS := $(basename $(notdir $(wildcard extras/*.in)))
COMPILE := python -m piptools compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --allow-unsafe
requirements: setup
	$(COMPILE) requirements.in
	sed -i "s|^torch==\(.*\)+cpu|torch==\1|" requirements.txt  # the CPU build and the CUDA one are the same version
	for name in $(EXTRAS); do $(COMPILE) --no-annotate --constraint requirements.txt extras/$$name.in || exit 1; done
	$(COMPILE) --no-annotate cloud/requirements.in

, := ,
