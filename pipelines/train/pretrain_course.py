"""Pretraining as a course: a network with heads for an objective, instances, and their losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.model.device import pick_precision
from pipelines.model.pretraining import PretrainingModel
from pipelines.pretrain_spec import PretrainSpec
from pipelines.spec import Storage
from pipelines.store.models import ModelReference
from pipelines.store.user_code import UserCode
from pipelines.text.frequencies import log_frequencies, unigram_entropy
from pipelines.train.assignment import Assignment, Beginning
from pipelines.train.course import Equipment
from pipelines.train.delivery import deliver
from pipelines.train.evaluation import LossEvaluator
from pipelines.train.loop import Outcome
from pipelines.train.network import facts_of, make_network
from pipelines.train.ranks import Ranks
from pipelines.train.recipe import Recipe
from pipelines.train.row_groups import RowGroups
from pipelines.train.supply import Supply, open_supply
from pipelines.train.trace import Trace

SENTENCE_LOSSES = ("nsp", "sop")


@dataclass(frozen=True, kw_only=True)
class PretrainCourse:
    """See ``pipelines.train.course.Course``."""

    spec: PretrainSpec
    """Its objective is no "auto" any more."""
    beginning: Beginning
    tokenizer: ModelReference
    max_seqlen: int
    """Most tokens of an instance."""
    train: RowGroups
    held_out: RowGroups
    storage: Storage = Storage()
    code: UserCode | None = None

    @property
    def recipe(self) -> Recipe:
        """As the spec has it."""
        return replace(Recipe.of(self.spec), loss_weights=dict.fromkeys(SENTENCE_LOSSES, self.spec.sentence_weight))

    def equip(self, assignment: Assignment, ranks: Ranks, attempt: int) -> Equipment:
        """See ``Course``."""
        made = make_network(self, assignment.pool)
        model = made.model
        supply = open_supply(self, assignment.pool, model, trace=Trace.of(assignment, ranks.rank, attempt))
        if made.has_new_head and self.spec.output_bias == "unigram":
            model.set_output_bias(log_frequencies(supply.token_counts(model.config.vocab_size)))
        precision = pick_precision(self.spec.precision, model.device)

        def conclude(outcome: Outcome) -> Mapping[str, Any]:
            if ranks.is_first:
                deliver(self, assignment.output, model)
            return {}

        return Equipment(
            model=model,
            source=supply.source,
            evaluator=LossEvaluator(model, supply.source.losses, precision),
            remarks=(*made.remarks, *supply.cautions),
            facts=lambda: {**facts_of(model), "precision": precision, "unigram_entropy": _entropy(model, supply)},
            deliver=conclude,
        )


def _entropy(model: PretrainingModel, supply: Supply) -> float:
    return unigram_entropy(supply.token_counts(model.config.vocab_size))
