"""An evaluation from its order to its report: what the model is decides what it is held against."""

from __future__ import annotations

from functools import partial

from pipelines.evaluation_spec import EvaluationSpec
from pipelines.model.folder import query_prompt
from pipelines.run.embedding import Begin, embed
from pipelines.run.evaluation_order import EvaluationOrder
from pipelines.run.evaluation_report import Evaluation, EvaluationReport
from pipelines.run.order import Order
from pipelines.run.report import Report
from pipelines.run.retrieval import evaluate_retrieval
from pipelines.run.similarity import Embed, evaluate_pairs
from pipelines.spec import EmbedSpec, EncodePool
from pipelines.stages.recipe import Recipe
from pipelines.store.location import locate


def evaluate_model(order: EvaluationOrder, spec: EvaluationSpec, gpu: EncodePool, begin: Begin) -> EvaluationReport:
    """Evaluate the model on all data that the order has, put what came of it into the output, and report it.

    SpecError where model and data don't go together.
    """
    output = locate(order.output, order.storage)
    output.check_output()
    report = _of_vectors(order, spec, gpu, begin)
    report.put(output)
    return report


def _of_vectors(order: EvaluationOrder, spec: EvaluationSpec, gpu: EncodePool, begin: Begin) -> EvaluationReport:
    """The report of an embedding model."""
    side = EmbedSpec(
        model=order.model, prompt=spec.prompt, max_seqlen=spec.max_seqlen, precision=spec.precision,
        model_class=spec.model_class, trust_remote_code=spec.trust_remote_code,
    )  # fmt: skip
    recipe = Recipe.of(side, order.storage, order.user_code)
    runs = Runs(begin, gpu, order.user_code)
    evaluations: list[Evaluation] = []
    if order.data:
        evaluations.append(evaluate_pairs(order, spec, side, runs.embed))
    if order.has_retrieval:
        prompt = query_prompt(recipe.folder()) if spec.query_prompt == "auto" else spec.query_prompt
        evaluations.append(evaluate_retrieval(order, spec, side, prompt, runs.embed))
    return EvaluationReport(
        model=recipe.identity.reference,
        model_hash=recipe.identity.hash,
        output=order.output,
        evaluations=tuple(evaluations),
        exit_code=max(report.exit_code for report in runs.reports),
    )


class Runs:
    """The runs over texts that an evaluation makes, and their reports."""

    def __init__(self, begin: Begin, gpu: EncodePool, user_code: str) -> None:
        self.embed: Embed = partial(self._embed, begin, gpu, user_code)
        self.reports: list[Report] = []

    def _embed(self, begin: Begin, gpu: EncodePool, user_code: str, order: Order, spec: EmbedSpec) -> Report:
        self.reports.append(embed(order, spec, begin, gpu, user_code))
        return self.reports[-1]
