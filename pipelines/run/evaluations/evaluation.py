"""An evaluation from its order to its report: what the model is decides what it is held against."""

from __future__ import annotations

from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.model.abilities import classifier_kind
from pipelines.model.folder import ModelFolder, query_prompt, read_folder
from pipelines.run.evaluations.embedding import embed
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation, EvaluationReport
from pipelines.run.evaluations.means import Means
from pipelines.run.order import Order
from pipelines.run.report import Report
from pipelines.spec import EmbedSpec
from pipelines.stages.recipe import Recipe
from pipelines.store.location import locate
from pipelines.store.models import ModelReference, fetch, identify


def evaluate_model(order: EvaluationOrder, spec: EvaluationSpec, means: Means) -> EvaluationReport:
    """Evaluate the model on all data that the order has, put what came of it into the output, and report it.

    SpecError where model and data don't go together.
    """
    output = locate(order.output, order.storage)
    output.check_output()
    model = identify(order.model, order.storage, trust_remote_code=spec.trust_remote_code)
    folder = read_folder(fetch(model, order.storage))
    is_classifier = classifier_kind(folder) is not None
    report = _of_labels(order, spec, model, folder, means) if is_classifier else _of_vectors(order, spec, means)
    report.put(output)
    return report


def _of_labels(
    order: EvaluationOrder, spec: EvaluationSpec, model: ModelReference, folder: ModelFolder, means: Means
) -> EvaluationReport:
    """The report of a classifier."""
    from pipelines.run.evaluations.examination import evaluate_classifier  # torch, and what else training needs

    if order.has_retrieval:
        raise SpecError(f"{order.model} is a classifier and finds no documents: give --data, or an embedding model")
    found, exit_code = evaluate_classifier(order, spec, model, folder, means)
    return EvaluationReport(
        model=model.reference, model_hash=model.hash, output=order.output, evaluations=(found,), exit_code=exit_code
    )


def _of_vectors(order: EvaluationOrder, spec: EvaluationSpec, means: Means) -> EvaluationReport:
    """The report of an embedding model."""
    from pipelines.run.evaluations.retrieval import (
        evaluate_retrieval,  # their metrics bring torch, scipy and matplotlib
    )
    from pipelines.run.evaluations.similarity import evaluate_pairs

    side = EmbedSpec(
        model=order.model, prompt=spec.prompt, max_seqlen=spec.max_seqlen, precision=spec.precision,
        model_class=spec.model_class, trust_remote_code=spec.trust_remote_code,
    )  # fmt: skip
    recipe = Recipe.of(side, order.storage, means.user_code)
    reports: list[Report] = []

    def run(over: Order, ours: EmbedSpec) -> None:
        reports.append(embed(over, ours, means))

    evaluations: list[Evaluation] = []
    if order.data:
        evaluations.append(evaluate_pairs(order, spec, side, run))
    if order.has_retrieval:
        prompt = query_prompt(recipe.folder()) if spec.query_prompt == "auto" else spec.query_prompt
        evaluations.append(evaluate_retrieval(order, spec, side, prompt, run))
    return EvaluationReport(
        model=recipe.identity.reference,
        model_hash=recipe.identity.hash,
        output=order.output,
        evaluations=tuple(evaluations),
        exit_code=max(report.exit_code for report in reports),
    )
