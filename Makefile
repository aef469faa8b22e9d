# make embed          set-up, the demo corpus, about a minute of embedding (ROWS=all for all of it, ROWS=500 for less)
# make predict        set-up, the model of make pretrain if it is not there yet, about a minute of predicting with it (ROWS=)
# make pretrain       set-up, whole speeches to instances, MiniLM trained on them for SECONDS=600 (or STEPS=), masks filled
# make finetune       set-up, film reviews, MiniLM fine-tuned on them for some minutes (ROWS= for fewer), two others told
# make evaluate       set-up, pairs of news that people judged, MiniLM held against them; less than a minute
# make notebook       set-up, JupyterLab, and examples/embed.ipynb open in a browser (BOOK=examples/pretrain.ipynb)
# make test           set-up, ruff, mypy, the whole test suite
# make bench          Manta beside its peers on the same text (ROWS=, ROUNDS=); writes benchmarks/results/
# make bench-predict  the same for masks and pseudo-perplexities, with the model of make predict (ROWS=, SCORED_ROWS=)
# make bench-pretrain the same for training, with the instances of make pretrain (STEPS=)
# make bench-finetune the same for fine-tuning, on film reviews (STEPS=)
# make memory         what each process takes while 12 MB and 300 MB of text are embedded; writes benchmarks/results/
# make lock           requirements.lock and notebook.lock anew from the ranges in pyproject.toml
# make clean          away with build/ and caches; .venv stays
#
# Set-up needs Python 3.11 or later as python3 (PYTHON=... for another) and a package index; it all goes into .venv.

PYTHON ?= python3
ROUNDS ?= 3
QUERY ?= What do we owe to soldiers who came home from the war?
GOOD ?= A warm, funny and moving film.
BAD ?= Two hours that nobody gives me back.
TEXT ?= The president of the United [MASK]
SECONDS ?= 600
SCORED_ROWS ?= 24

SHELL := /bin/bash
VENV := .venv/bin/python
READY := .venv/requirements.lock
LAB := .venv/notebook.lock

# STEPS= is for a trial: its model, and what that predicts, stand beside the others.
TRIAL := $(if $(STEPS),-$(STEPS)-steps)
MODEL := build/sotu-bert$(TRIAL)
BUDGET := $(if $(STEPS),--spec.time_budget "" --spec.max_steps $(STEPS),--spec.time_budget $(SECONDS)s)
# Paragraphs of the speeches that the model has not learnt from.
UNSEEN := -m examples.demo_corpus --output build/sotu-few --num_shards 1 --every 5 --held_out 0.05

# A training that was interrupted goes on; one that came to its end has nothing to do.
define PRETRAIN
$(VENV) -m examples.demo_corpus --output build/sotu-speeches --whole true --num_shards 2 && \
  $(VENV) -m jobs.prepare --config examples/prepare-sotu.yaml && \
  $(VENV) -m jobs.pretrain --config examples/pretrain-sotu.yaml $(BUDGET) --output $(MODEL) \
  $$(test ! -d $(MODEL)/_manta/checkpoints || echo --resume)
endef

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help embed predict pretrain finetune evaluate notebook test bench bench-predict bench-pretrain bench-finetune memory lock clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

embed: ROWS ?= 4096
embed: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu
	@$(VENV) -m jobs.embed --config examples/embed-sotu.yaml $(if $(filter all,$(ROWS)),,--limit $(ROWS))
	@$(VENV) -m examples.neighbours "$(QUERY)"

predict: ROWS ?= all
predict: $(READY) $(MODEL)/config.json
	@$(VENV) $(UNSEEN)
	@$(VENV) -m jobs.predict --config examples/predict-sotu.yaml $(if $(filter all,$(ROWS)),,--limit $(ROWS)) \
	  --spec.model $(MODEL) --output build/sotu-predictions$(TRIAL)
	@$(VENV) -m examples.surprises --model $(MODEL) --predictions build/sotu-predictions$(TRIAL)
	@$(VENV) -m jobs.predict --spec.model $(MODEL) --text "$(TEXT)"

pretrain: $(READY)
	@$(PRETRAIN)
	@$(VENV) -m jobs.predict --spec.model $(MODEL) --text "$(TEXT)"
	@echo "Curves: $(MODEL)/curves.png"

# ROWS= is for a trial: its classifier stands beside the other.
finetune: CLASSIFIER = build/reviews-classifier$(if $(ROWS),-$(ROWS)-rows)
finetune: $(READY)
	@$(VENV) -m examples.reviews --output build/reviews
	@$(VENV) -m jobs.finetune --config examples/finetune-reviews.yaml $(if $(ROWS),--limit $(ROWS)) \
	  --output $(CLASSIFIER) $$(test ! -d $(CLASSIFIER)/_manta/checkpoints || echo --resume)
	@$(VENV) -m jobs.predict --spec.model $(CLASSIFIER) --spec.outputs "[classify]" --text "$(GOOD)"
	@$(VENV) -m jobs.predict --spec.model $(CLASSIFIER) --spec.outputs "[classify]" --text "$(BAD)"

evaluate: $(READY)
	@$(VENV) -m examples.pairs --output build/pairs
	@$(VENV) -m jobs.evaluate --config examples/evaluate-news.yaml

# On this machine alone, and for those alone who have the token in the address that it prints. Nobody is asked for news.
notebook: BOOK ?= examples/embed.ipynb
notebook: $(LAB)
	@$(VENV) -m jupyterlab --ServerApp.ip=127.0.0.1 --ServerApp.allow_remote_access=False --KernelManager.transport=ipc \
	  --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate $(BOOK)

# What predicts needs one, of whichever age; predictions of a model that is gone would be in the way of its successor's.
$(MODEL)/config.json: | $(READY)
	@rm -rf build/sotu-predictions$(TRIAL)
	@$(PRETRAIN)

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
bench-predict: $(READY) $(MODEL)/config.json
	@$(VENV) $(UNSEEN)
	@$(VENV) -m benchmarks.predict --model $(MODEL) --rows $(ROWS) --scored_rows $(SCORED_ROWS) --rounds $(ROUNDS)

bench-pretrain: STEPS = 20
bench-pretrain: $(READY)
	@$(VENV) -m examples.demo_corpus --output build/sotu-speeches --whole true --num_shards 2
	@$(VENV) -m jobs.prepare --config examples/prepare-sotu.yaml
	@$(VENV) -m benchmarks.pretrain --steps $(STEPS) --rounds $(ROUNDS)

bench-finetune: STEPS = 200
bench-finetune: $(READY)
	@$(VENV) -m benchmarks.finetune --steps $(STEPS) --rounds $(ROUNDS)

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

$(LAB): notebook.lock $(READY)
	@cmp -s $< $@ || { echo "Installing notebook.lock into .venv (once)" && $(VENV) -m pip install -qq --no-deps -r $<; }
	@cp $< $@
