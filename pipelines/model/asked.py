"""What is asked of a tokenizer beside token ids, by what is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.model.abilities import classifier_kind
from pipelines.model.folder import ModelFolder
from pipelines.predict_spec import PredictSpec
from pipelines.spec import DocumentSpec


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Numbers of words, places in the text, and whether texts come in pairs."""

    words: bool = False
    chars: bool = False
    are_pairs: bool = False


def asked_of(spec: DocumentSpec, folder: ModelFolder) -> Asked:
    """What the outputs of a spec need."""
    if not isinstance(spec, PredictSpec):
        return Asked()
    kind = classifier_kind(folder) if "classify" in spec.outputs else None
    whole_words = kind == "answer" or (kind == "token" and spec.aggregation not in ("none", "simple"))
    return Asked(
        words=spec.needs_words or whole_words,
        chars="token_embeddings" in spec.outputs or kind in ("token", "answer"),
        are_pairs=spec.is_paired,
    )
