# make embed          set-up, the demo corpus, about a minute of embedding (ROWS=all for all of it, ROWS=500 for less)
# make predict        set-up, a small masked language model, made once in SECONDS=300, about a minute of predicting (ROWS=)
# make pretrain       set-up, whole speeches to instances, MiniLM trained on them for SECONDS=600 (or STEPS=), masks filled
# make test           set-up, ruff, mypy, the whole test suite
# make bench          Manta beside its peers on the same text (ROWS=, ROUNDS=); writes benchmarks/results/
# make bench-predict  the same for masks and pseudo-perplexities, with the model of make predict (ROWS=, SCORED_ROWS=)
# make bench-pretrain the same for training, with the instances of make pretrain (STEPS=)
# make memory         what each process takes while 12 MB and 300 MB of text are embedded; writes benchmarks/results/
# make lock           requirements.lock anew from the ranges in pyproject.toml
# make clean          away with build/ and caches; .venv stays
#
# Set-up needs Python 3.11 or later as python3 (PYTHON=... for another) and a package index; it all goes into .venv.

PYTHON ?= python3
ROUNDS ?= 3
QUERY ?= What do we owe to soldiers who came home from the war?
TEXT ?= The president of the United [MASK]
SECONDS ?= 300
SCORED_ROWS ?= 24

SHELL := /bin/bash
VENV := .venv/bin/python
READY := .venv/requirements.lock

# The demo corpus, and the model once; STEPS= trains for so many steps in place of SECONDS. Predictions of a model that is
# gone would be in the way of its successor's.
define MASKED_MODEL
$(VENV) -m examples.demo_corpus --output build/sotu && \
  $(VENV) -m examples.demo_corpus --output build/sotu-few --num_shards 1 --every 64 && \
  { test -d build/minilm-mlm || { rm -rf build/sotu-predictions && \
    $(VENV) -m examples.warm_start $(if $(STEPS),--steps $(STEPS),--seconds $(SECONDS)); }; }
endef

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help embed predict pretrain test bench bench-predict bench-pretrain memory lock clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

embed: ROWS ?= 4096
embed: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu
	@$(VENV) -m jobs.embed --config examples/embed-sotu.yaml $(if $(filter all,$(ROWS)),,--limit $(ROWS))
	@$(VENV) -m examples.neighbours "$(QUERY)"

predict: ROWS ?= all
predict: $(READY)
	@$(MASKED_MODEL)
	@$(VENV) -m jobs.predict --config examples/predict-sotu.yaml $(if $(filter all,$(ROWS)),,--limit $(ROWS))
	@$(VENV) -m examples.surprises
	@$(VENV) -m jobs.predict --spec.model build/minilm-mlm --text "$(TEXT)"

# A training that was interrupted goes on; one that came to its end has nothing to do. STEPS= is for a trial beside it.
pretrain: BUDGET = $(if $(STEPS),--spec.time_budget "" --spec.max_steps $(STEPS),--spec.time_budget $(SECONDS)s)
pretrain: MODEL = build/sotu-bert$(if $(STEPS),-$(STEPS)-steps)
pretrain: SECONDS = 600
pretrain: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu-speeches --whole true --num_shards 2
	@$(VENV) -m jobs.prepare --config examples/prepare-sotu.yaml
	@$(VENV) -m jobs.pretrain --config examples/pretrain-sotu.yaml $(BUDGET) --output $(MODEL) \
	  $$(test ! -d $(MODEL)/_manta/checkpoints || echo --resume)
	@$(VENV) -m jobs.predict --spec.model $(MODEL) --text "$(TEXT)"
	@echo "Curves: $(MODEL)/curves.png"

test: $(READY)
	@$(VENV) -m ruff check --quiet .
	@$(VENV) -m ruff format --quiet --check .
	@$(VENV) -m mypy --no-error-summary
	@$(VENV) -m pytest

bench: ROWS ?= 2048
bench: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu
	@$(VENV) -m benchmarks.embed --documents build/sotu --rows $(ROWS) --rounds $(ROUNDS)

bench-predict: ROWS ?= 256
bench-predict: $(READY)
	@$(MASKED_MODEL)
	@$(VENV) -m benchmarks.predict --rows $(ROWS) --scored_rows $(SCORED_ROWS) --rounds $(ROUNDS)

bench-pretrain: STEPS = 20
bench-pretrain: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu-speeches --whole true --num_shards 2
	@$(VENV) -m jobs.prepare --config examples/prepare-sotu.yaml
	@$(VENV) -m benchmarks.pretrain --steps $(STEPS) --rounds $(ROUNDS)

memory: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu
	@$(VENV) -m benchmarks.memory --documents build/sotu

lock: $(READY)
	@$(VENV) .ci/lock.py

clean:
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find pipelines jobs examples benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

# The copy of the lock in .venv says what is installed there: a lock of the same text, only touched, installs nothing.
# torch is named once more without --no-deps, for builds that bring libraries of their own.
$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1): Manta needs Python 3.11 or later, name one by PYTHON=..." >&2; exit 2; }
	@test -x $(VENV) || $(PYTHON) -m venv .venv
	@cmp -s $< $@ || { echo "Installing requirements.lock into .venv (minutes, once)" && \
	  $(VENV) -m pip install -qq --no-deps -r $< && $(VENV) -m pip install -qq "$$(grep ^torch== $<)"; }
	@cp $< $@
