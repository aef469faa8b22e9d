"""What is asked of a tokenizer beside token ids, by what is made of them."""

from __future__ import annotations

from dataclasses import dataclass

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
    return Asked(words=spec.needs_words, chars="token_embeddings" in spec.outputs, are_pairs=spec.is_paired)
