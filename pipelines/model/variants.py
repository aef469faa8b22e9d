"""The embedding outputs of a prediction, each as the spec of an encoder that would make the same vectors."""

from __future__ import annotations

from pipelines.model.folder import ModelFolder, resolve
from pipelines.predict_spec import EMBEDDINGS, PredictSpec
from pipelines.spec import EmbedSpec


def vector_specs(spec: PredictSpec, folder: ModelFolder) -> dict[str, EmbedSpec]:
    """By output, resolved: "embedding" is pooled as the folder says, "embedding_cls" by cls, and so on.

    All else is the folder's own. ``spec`` is resolved. SpecError where what follows pooling does not fit it.
    """
    return {output: _vector_spec(spec, folder, output) for output in spec.outputs if output in EMBEDDINGS}


def _vector_spec(spec: PredictSpec, folder: ModelFolder, output: str) -> EmbedSpec:
    pooling = output.removeprefix("embedding").removeprefix("_") or "auto"
    asked = EmbedSpec(
        model=spec.model, pooling=pooling, prompt=spec.prompt, max_seqlen=spec.max_seqlen, precision=spec.precision,
        trust_remote_code=spec.trust_remote_code,
    )  # fmt: skip
    return resolve(asked, folder)
