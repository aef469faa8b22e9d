"""Outputs by hand and against transformers; several that share a pass against each alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, read_folder, resolve
from pipelines.model.found import Filled, Perplexities
from pipelines.model.inputs import Inputs
from pipelines.model.predictor import NOT_FINITE, Predictions, Predictor
from pipelines.model.reader import Reader
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.predict_spec import PredictSpec
from pipelines.spec import EmbedSpec
from tests.tiny import VOCABULARY

CLS, SEP, MASK = 2, 3, 4
TEXTS = ["the [MASK] of bread", "stone bread wind night", "", "[MASK] [MASK]", "king"]


@pytest.fixture(scope="module")
def folder(make_folder: Callable[..., Path]) -> ModelFolder:
    return read_folder(make_folder("Bert", kind="ForPreTraining"))


class Asking:
    """A predictor with its tokenizer."""

    def __init__(self, folder: ModelFolder, *outputs: str, **fields: Any) -> None:
        asked = {"precision": "float32", "outputs": list(outputs or ["fill_mask"]), **fields}
        self.spec = resolve(PredictSpec(model="m", **asked), folder)
        self.folder, self.tokenizer = folder, DocumentTokenizer(folder, self.spec)
        self.predictor = Predictor(Reader(folder, self.spec, token_budget=40), self.tokenizer, self.spec)

    def inputs(self, texts: list[str], pairs: list[str] | None = None) -> Inputs:
        return Inputs.of(self.tokenizer.chunks(texts, pairs or ()))

    def predict(self, texts: list[str], pairs: list[str] | None = None) -> Predictions:
        return self.predictor.predict(self.inputs(texts, pairs))


def filled(asking: Asking, texts: list[str]) -> Filled:
    found = asking.predict(texts).found["fill_mask"]
    assert isinstance(found, Filled)
    return found


def test_texts_are_decoded_with_the_likeliest_filling(folder: ModelFolder) -> None:
    asking = Asking(folder, top_k=2)
    found = filled(asking, ["the [MASK] of bread", "stone", "[MASK] [MASK]"])
    assert found.counts.tolist() == [1, 0, 2]
    assert found.positions.tolist() == [2, 1, 2]
    assert found.tokens == [VOCABULARY[token] for token in found.ids.ravel()]
    best = [found.tokens[2 * mask] for mask in range(3)]
    plain = [asking.tokenizer.decode([VOCABULARY.index(token) for token in row])
             for row in (["the", best[0], "of", "bread"], ["stone"], best[1:])]  # fmt: skip
    assert found.texts == plain
    assert (found.log_probs[:, 0] >= found.log_probs[:, 1]).all()


def test_words_are_masked_where_a_text_has_no_mask(folder: ModelFolder) -> None:
    found = filled(Asking(folder, mask_every=2), ["the king of bread and wind", "the [MASK] of bread", "king"])
    assert found.counts.tolist() == [3, 1, 0]
    assert found.positions.tolist() == [2, 4, 6, 2]


def scored(asking: Asking, texts: list[str]) -> Perplexities:
    found = asking.predict(texts).found["pseudo_perplexity"]
    assert isinstance(found, Perplexities)
    return found


def test_a_pseudo_perplexity_by_hand(folder: ModelFolder) -> None:
    from transformers import AutoModelForMaskedLM

    plain = AutoModelForMaskedLM.from_pretrained(folder.path).eval()
    asking = Asking(folder, "pseudo_perplexity")
    texts = ["stone bread [MASK] wind", "", "king"]
    found = scored(asking, texts)
    ids = asking.inputs(texts).values[:6].astype(np.int64)
    expected = 0.0
    for place in (1, 2, 4):
        copy = torch.from_numpy(ids.copy())
        copy[place] = MASK
        with torch.inference_mode():
            expected += float(plain(input_ids=copy[None]).logits[0, place].log_softmax(-1)[ids[place]])
    assert found.num_scored.tolist() == [3, 0, 1]
    assert found.log_prob[0] == pytest.approx(expected, abs=1e-5)
    assert found.perplexity[0] == pytest.approx(math.exp(-expected / 3), rel=1e-5)
    assert np.isnan(found.perplexity).tolist() == [False, True, True]  # a single token has no context
    assert np.isfinite(found.token_log_probs).tolist() == [
        False, True, True, False, True, False, False, False, False, True, False,
    ]  # fmt: skip


def test_a_chunk_that_fails_is_told_and_the_others_are_filled(folder: ModelFolder) -> None:
    asking = Asking(folder, top_k=1)
    values = np.array([CLS, MASK, SEP, CLS, MASK, 10**6, CLS, MASK, SEP], np.int32)
    predictions = asking.predictor.predict(Inputs(values=values, offsets=np.array([0, 3, 6, 9])))
    assert set(predictions.failures) == {1}
    found = predictions.found["fill_mask"]
    assert found.tokens == [found.tokens[0], "", found.tokens[0]]
    assert found.texts == [asking.tokenizer.decode([int(found.ids[0, 0])]), "", found.texts[0]]


@pytest.mark.parametrize("unit", ["token", "word"])
def test_a_prompt_is_seen_and_not_scored(folder: ModelFolder, unit: Any) -> None:
    asking = Asking(folder, "pseudo_perplexity", prompt="the king ", mask_unit=unit)
    assert len(asking.inputs(["of bread"]).values) == 6
    assert (asking.inputs(["of bread"]).words is None) == (unit == "token")
    assert np.flatnonzero(np.isfinite(scored(asking, ["of bread"]).token_log_probs)).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("output", "pooling"), [("embedding", "auto"), ("embedding_cls", "cls"), ("embedding_max", "max")]
)
def test_vectors_are_those_of_the_encoder(make_folder: Callable[..., Path], output: str, pooling: str) -> None:
    modules = [("Pooling", {"pooling_mode_mean_tokens": True}), ("Dense", {"in_features": 32, "out_features": 8}),
               ("Normalize", {})]  # fmt: skip
    folder = read_folder(make_folder("Bert", modules=modules))
    asking = Asking(folder, output)
    inputs = asking.inputs(TEXTS)
    spec = resolve(EmbedSpec(model="m", precision="float32", pooling=pooling), folder)
    expected = Encoder(folder, spec).encode(inputs.values, inputs.offsets).vectors
    found = asking.predictor.predict(inputs).found[output].vectors
    assert found.shape == (5, 8)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_vector_a_token(folder: ModelFolder) -> None:
    from transformers import AutoModel

    asking = Asking(folder, "token_embeddings")
    inputs = asking.inputs(TEXTS)
    found = asking.predictor.predict(inputs).found["token_embeddings"]
    plain = AutoModel.from_pretrained(folder.path).eval()
    rows = [torch.from_numpy(row.astype(np.int64))[None] for row in np.split(inputs.values, inputs.offsets[1:-1])]
    with torch.inference_mode():
        expected = torch.cat([plain(input_ids=row).last_hidden_state[0] for row in rows])
    assert found.vectors.dtype == np.float16
    np.testing.assert_allclose(found.vectors, expected, atol=2e-3)
    assert found.chars[:6].tolist() == [[-1, -1], [0, 3], [4, 10], [11, 13], [14, 19], [-1, -1]]


def test_whether_a_text_follows(folder: ModelFolder) -> None:
    from transformers import BertForPreTraining

    asking = Asking(folder, "next_sentence", text_pair="b")
    firsts, seconds = ["the king of bread", "stone", ""], ["a ship", "bread wind night and day", "war"]
    found = asking.predict(firsts, seconds).found["next_sentence"].probabilities
    plain = BertForPreTraining.from_pretrained(folder.path).eval()
    inputs = asking.inputs(firsts, seconds)
    assert inputs.segment_b_start is not None
    for row, start in enumerate(inputs.segment_b_start.tolist()):
        ids = torch.from_numpy(inputs.values[inputs.offsets[row] : inputs.offsets[row + 1]].astype(np.int64))[None]
        types = (torch.arange(ids.shape[1]) >= start).long()[None]
        with torch.inference_mode():
            logits = plain(input_ids=ids, token_type_ids=types).seq_relationship_logits
        assert found[row] == pytest.approx(float(logits.softmax(-1)[0, 0]), abs=1e-5)


def test_outputs_that_share_a_pass_are_those_of_passes_of_their_own(folder: ModelFolder) -> None:
    outputs = ["embedding", "embedding_cls", "fill_mask", "token_embeddings"]
    together = Asking(folder, *outputs, "pseudo_perplexity")
    inputs = together.inputs(TEXTS)
    found = together.predictor.predict(inputs)
    alone = {output: Asking(folder, output).predict(TEXTS) for output in [*outputs, "pseudo_perplexity"]}
    np.testing.assert_allclose(
        found.found["embedding"].vectors, alone["embedding"].found["embedding"].vectors, atol=1e-6
    )
    for name in ("ids", "positions", "counts"):
        np.testing.assert_array_equal(
            getattr(found.found["fill_mask"], name), getattr(alone["fill_mask"].found["fill_mask"], name)
        )
    np.testing.assert_allclose(
        found.found["pseudo_perplexity"].log_prob,
        alone["pseudo_perplexity"].found["pseudo_perplexity"].log_prob,
        atol=1e-5,
    )
    scored_tokens = alone["pseudo_perplexity"].stats.num_tokens
    assert found.stats.num_tokens == len(inputs.values) + scored_tokens  # four outputs, one pass
    assert alone["fill_mask"].stats.num_tokens == 6 + 4  # chunks without a mask are not run for fillings alone


@pytest.mark.parametrize(
    ("kind", "maker", "fields"),
    [
        ("ForSequenceClassification", "AutoModelForSequenceClassification", {}),
        ("ForSequenceClassification", "AutoModelForSequenceClassification", {"text_pair": "b"}),
        ("ForTokenClassification", "AutoModelForTokenClassification", {}),
        ("ForQuestionAnswering", "AutoModelForQuestionAnswering", {"text_pair": "b"}),
    ],
)
def test_logits_are_those_of_transformers_and_vectors_come_along(
    make_folder: Callable[..., Path], kind: str, maker: str, fields: dict[str, Any]
) -> None:
    import transformers

    labels = {} if "Question" in kind else {"num_labels": 3}
    folder = read_folder(make_folder("Bert", kind=kind, fields=labels))
    asking = Asking(folder, "classify", "embedding", **fields)
    inputs = asking.inputs(TEXTS, TEXTS[::-1] if fields else None)
    predictions = asking.predictor.predict(inputs)
    whole = getattr(transformers, maker).from_pretrained(folder.path).eval()
    expected, vectors = [], []
    for row, (start, stop) in enumerate(pairwise(inputs.offsets.tolist())):
        ids = torch.from_numpy(inputs.values[start:stop].astype(np.int64))[None]
        second = stop if inputs.segment_b_start is None else int(inputs.segment_b_start[row])
        types = (torch.arange(stop - start) >= second).long()[None]
        with torch.inference_mode():
            out = whole(input_ids=ids, token_type_ids=types, output_hidden_states=True)
        ends = torch.stack([out.start_logits[0], out.end_logits[0]], dim=1) if "Question" in kind else None
        expected.append((out.logits if ends is None else ends).reshape(-1, 2 if "Question" in kind else 3))
        vectors.append(out.hidden_states[-1][0].mean(0))
    found = predictions.found["classify"]
    np.testing.assert_allclose(found.logits, torch.cat(expected), atol=1e-5)
    np.testing.assert_allclose(predictions.found["embedding"].vectors, torch.stack(vectors), atol=1e-5)
    assert found.cls_id == CLS
    assert predictions.stats.num_tokens == len(inputs.values)  # one pass for both


def test_vectors_that_are_not_finite_are_failures(folder: ModelFolder) -> None:
    asking = Asking(folder, "embedding", "token_embeddings")
    network: Any = asking.predictor._reader.equipment.network
    network.words[VOCABULARY.index("king")] = torch.nan
    predictions = asking.predict(["the ship", "the king", "king of war", "bread"])
    assert predictions.failures == {1: NOT_FINITE, 2: NOT_FINITE}


@pytest.mark.parametrize("kind", ["ForSequenceClassification", "ForTokenClassification"])
def test_logits_that_are_not_finite_are_failures(make_folder: Callable[..., Path], kind: str) -> None:
    asking = Asking(read_folder(make_folder("Bert", kind=kind)), "classify")
    network: Any = asking.predictor._reader.equipment.network
    network.words[VOCABULARY.index("king")] = torch.nan
    assert asking.predict(["the ship", "the king", "king of war", "bread"]).failures == {1: NOT_FINITE, 2: NOT_FINITE}


def test_a_tokenizer_without_a_mask_is_refused(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForMaskedLM")
    (path / "tokenizer.json").write_text((path / "tokenizer.json").read_text().replace("[MASK]", "[HOLE]"))
    with pytest.raises(SpecError, match="has no mask token"):
        Asking(read_folder(path))
