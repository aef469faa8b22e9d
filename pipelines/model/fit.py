"""Whether a folder's model can do what a spec asks, told before anything loads."""

from __future__ import annotations

from pipelines.model.abilities import require
from pipelines.model.folder import ModelFolder
from pipelines.model.labels import read_labels
from pipelines.model.variants import vector_specs
from pipelines.predict_spec import PredictSpec
from pipelines.spec import DocumentSpec, refuse


def check_fit(spec: DocumentSpec, folder: ModelFolder) -> None:
    """SpecError where it cannot: which output, why not, and what would do. ``spec`` is resolved."""
    if not isinstance(spec, PredictSpec):
        return
    require(folder, spec.outputs)
    vector_specs(spec, folder)
    if "classify" in spec.outputs:
        _check_texts(spec, folder)


def _check_texts(spec: PredictSpec, folder: ModelFolder) -> None:
    """Chunks are classified of one text or two, tokens of one; answers need a question and its context."""
    kind = read_labels(folder).kind
    if kind == "answer" and not spec.is_paired:
        refuse(spec, "text_pair", f"{folder.path} answers questions: name the contexts' column, or set question")
    if kind == "token" and spec.is_paired:
        refuse(spec, "text_pair", f"{folder.path} labels the tokens of one text: leave it out")
    if kind != "answer" and spec.question:
        refuse(spec, "question", f"{folder.path} answers no questions: name the column of a second text by text_pair")
