from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SpecError
from pipelines.model.fit import check_fit
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec


def check(folder: ModelFolder, **fields: Any) -> None:
    check_fit(resolve(PredictSpec(model="m", **{"outputs": ["classify"], **fields}), folder), folder)


def test_what_fits_is_not_refused(minilm: ModelFolder, make_folder: Callable[..., Path]) -> None:
    check_fit(resolve(EmbedSpec(model="m"), minilm), minilm)
    check(minilm, outputs=["embedding", "embedding_max", "token_embeddings"])
    chunks = read_folder(make_folder("Bert", kind="ForSequenceClassification"))
    check(chunks, outputs=["classify", "embedding"])
    check(chunks, text_pair="b")
    check(read_folder(make_folder("Bert", kind="ForTokenClassification")))
    answers = read_folder(make_folder("Bert", kind="ForQuestionAnswering"))
    check(answers, question="Who?")
    check(answers, text_pair="context")


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("ForQuestionAnswering", {}, "answers questions: name the contexts' column, or set question"),
        ("ForTokenClassification", {"text_pair": "b"}, "labels the tokens of one text"),
        ("ForSequenceClassification", {"question": "Who?"}, "answers no questions"),
        ("ForSequenceClassification", {"outputs": ["fill_mask"]}, "can't give fill_mask"),
        ("Model", {}, "carries no classification head"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_folder: Callable[..., Path], kind: str, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        check(read_folder(make_folder("Bert", kind=kind)), **fields)


def test_a_pooling_that_does_not_fit(make_folder: Callable[..., Path]) -> None:
    modules = [("Pooling", {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}),
               ("Dense", {"in_features": 64, "out_features": 8})]  # fmt: skip
    with pytest.raises(SpecError, match="takes 64 numbers, pooling cls gives 32"):
        check(read_folder(make_folder("Bert", modules=modules)), outputs=["embedding_cls"])
