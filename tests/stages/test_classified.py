"""classify as a column: by hand, and from text to column against transformers' pipelines, one text at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipelines.model.classifier import HeadLogits, load_classifier
from pipelines.model.folder import read_folder, resolve
from pipelines.model.inputs import Inputs
from pipelines.model.labels import Labels
from pipelines.model.loop import BatchLoop, Chunks
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.schema import ANSWER, CLASS, CLASSES, ENTITY, VALUE, VALUES
from pipelines.spec import DocumentSpec
from pipelines.stages.classified import classify_column, classify_type
from tests.model.conftest import save

LN3 = float(np.log(3))
CPU = torch.device("cpu")
TWO = Inputs(values=np.array([2, 5, 2, 6], np.int32), offsets=np.array([0, 2, 4]))
PLACES = Inputs(
    values=np.array([2, 5, 6, 2, 7], np.int32),
    offsets=np.array([0, 3, 5]),
    chars=np.array([[-1, -1], [0, 3], [4, 9], [-1, -1], [-1, -1]], np.int32),
)
BIO = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}
TEXTS = ["the ship", "a letter to the king and the clock tower of the mill in the field", "war and peace and law",
         "gold, 12 horses; market!", "東京 é \U0001f642 x unknownwords"]  # fmt: skip


def column(labels: Labels, logits: Any, tokens: Inputs = TWO, **how: Any) -> pa.Array:
    found = classify_column(labels, np.array(logits, np.float32), tokens, **how)
    found.validate(full=True)
    assert found.type == classify_type(labels)
    return found


def test_one_of_all() -> None:
    labels = Labels(kind="sequence", names=("A", "B"))
    assert classify_type(labels) == CLASS
    assert column(labels, [[0, LN3], [9, 9]]).to_pylist() == [
        {"label": "B", "probability": 0.75, "probabilities": [0.25, 0.75]},
        {"label": "A", "probability": 0.5, "probabilities": [0.5, 0.5]},
    ]


def test_any_of_all() -> None:
    labels = Labels(kind="sequence", names=("A", "B"), problem="multi_label")
    assert classify_type(labels) == CLASSES
    assert column(labels, [[0, LN3], [-LN3, -LN3]]).to_pylist() == [
        {"labels": ["A", "B"], "probabilities": [0.5, 0.75]},
        {"labels": [], "probabilities": [0.25, 0.25]},
    ]


def test_values() -> None:
    one = Labels(kind="sequence", names=("LABEL_0",), problem="regression")
    assert classify_type(one) == VALUE
    assert column(one, [[1.5], [-7]]).to_pylist() == [{"value": 1.5}, {"value": -7}]
    two = Labels(kind="sequence", names=("A", "B"), problem="regression")
    assert classify_type(two) == VALUES
    assert column(two, [[1, 2], [3, 4]]).to_pylist() == [{"values": [1, 2]}, {"values": [3, 4]}]


def test_entities() -> None:
    labels = Labels(kind="token", names=("O", "B-PER", "I-PER"))
    assert classify_type(labels) == pa.list_(ENTITY)
    sure = 40
    logits = [[sure, 0, 0], [0, sure, 0], [0, 0, sure], [0, sure, 0], [0, sure, 0]]
    entity = {"label": "PER", "probability": 1.0, "char_start": 0, "char_end": 9}
    assert column(labels, logits, PLACES).to_pylist() == [[entity], []]
    alone = column(labels, logits, PLACES, aggregation="none")
    assert [one["label"] for one in alone[0].as_py()] == ["B-PER", "I-PER"]


def test_answers() -> None:
    labels = Labels(kind="answer", names=("start", "end"))
    assert classify_type(labels) == ANSWER
    logits = np.log([[1, 1], [6, 1], [1, 2], [1, 1], [9, 9]])
    first, second = column(labels, logits, PLACES, cls_id=2).to_pylist()
    assert (first["char_start"], first["char_end"]) == (0, 9)
    assert first["probability"] == pytest.approx(6 / 8 * 2 / 4)
    assert first["no_answer"] == pytest.approx(1 / 8 * 1 / 4)
    assert second == {"char_start": None, "char_end": None, "probability": None, "no_answer": 1.0}
    assert column(labels, logits, PLACES)[0].as_py()["no_answer"] is None
    short = column(labels, logits, PLACES, max_answer_tokens=1)[0].as_py()
    assert (short["char_start"], short["char_end"]) == (0, 3)


def test_no_chunks() -> None:
    none = Inputs(values=np.zeros(0, np.int32), offsets=np.array([0]), chars=np.zeros((0, 2), np.int32))
    for labels in (
        Labels(kind="sequence", names=("A", "B")),
        Labels(kind="sequence", names=("A", "B"), problem="multi_label"),
        Labels(kind="sequence", names=("A",), problem="regression"),
        Labels(kind="token", names=("O", "A")),
        Labels(kind="answer", names=("start", "end")),
    ):
        assert len(column(labels, np.zeros((0, len(labels.names))), none)) == 0


def test_chunks_that_failed_break_nothing() -> None:
    gone = np.full((4, 2), np.nan)
    for labels in (Labels(kind="sequence", names=("A", "B")), Labels(kind="token", names=("O", "A"))):
        tokens = Inputs(values=TWO.values, offsets=TWO.offsets, chars=np.zeros((4, 2), np.int32))
        assert len(column(labels, gone[:2] if labels.kind == "sequence" else gone, tokens)) == 2


def test_tokens_without_places() -> None:
    with pytest.raises(ValueError, match="without chars"):
        column(Labels(kind="token", names=("O", "A")), np.zeros((4, 2)))


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny BERT whose tokenizer tells transformers the types of tokens, as BERT's does."""

    def made(kind: str, **fields: Any) -> Path:
        path = save(tmp_path_factory.mktemp(kind), "Bert", kind=kind, fields=fields)
        told = json.loads((path / "tokenizer_config.json").read_text())
        told["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
        (path / "tokenizer_config.json").write_text(json.dumps(told))
        return path

    return made


def from_text(path: Path, texts: list[str], pairs: list[str] | None = None, **how: Any) -> list[Any]:
    """The column of the texts, as a job makes it."""
    folder = read_folder(path)
    spec = resolve(DocumentSpec(model=str(path), precision="float32"), folder)
    classifier = load_classifier(folder, spec, device=CPU, precision="float32")
    found = DocumentTokenizer(folder, spec).tokenize(texts, pairs=pairs, with_words=True, with_chars=True)
    chunks = Chunks(found.values, found.offsets, found.segment_b_start)
    harvest = HeadLogits(classifier, chunks, CPU)
    loop = BatchLoop(classifier.network, CPU, lanes=1, token_budget=64, max_positions=folder.max_positions)
    failures, _ = loop.run(chunks, harvest, lambda: HeadLogits.probe(classifier, CPU))
    assert failures == {}
    tokens = Inputs(values=found.values, offsets=found.offsets, chars=found.chars, words=found.words)
    rows: list[Any] = classify_column(classifier.labels, harvest.values, tokens, **how).to_pylist()
    return rows


@pytest.mark.parametrize("aggregation", ["none", "simple", "first", "average", "max"])
def test_entities_are_those_of_transformers(make_folder: Callable[..., Path], aggregation: Any) -> None:
    from transformers import pipeline

    path = make_folder("ForTokenClassification", id2label=BIO)
    theirs = pipeline("token-classification", model=str(path), aggregation_strategy=aggregation, device="cpu")
    expected = [theirs(text) for text in TEXTS]
    assert sum(len(found) for found in expected) >= 3
    for found, wanted in zip(from_text(path, TEXTS, aggregation=aggregation), expected, strict=True):
        assert [(one["label"], one["char_start"], one["char_end"]) for one in found] == [
            (one.get("entity_group") or one["entity"], one["start"], one["end"]) for one in wanted
        ]
        scores = [float(one["score"]) for one in wanted]
        assert [one["probability"] for one in found] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize(
    ("problem", "count"), [(None, 3), ("multi_label_classification", 3), ("regression", 1), ("regression", 2)]
)
@pytest.mark.parametrize("pairs", [None, ["of the mill", "x", "a king and a ship", "the law", "peace"]])
def test_classes_are_those_of_transformers(
    make_folder: Callable[..., Path], problem: str | None, count: int, pairs: list[str] | None
) -> None:
    from transformers import pipeline

    path = make_folder("ForSequenceClassification", num_labels=count, problem_type=problem)
    theirs = pipeline("text-classification", model=str(path), device="cpu")
    asked = TEXTS if pairs is None else [{"text": a, "text_pair": b} for a, b in zip(TEXTS, pairs, strict=True)]
    for found, one in zip(from_text(path, TEXTS, pairs), asked, strict=True):
        every = {label["label"]: label["score"] for label in theirs(one, top_k=None)}
        scores = [every[f"LABEL_{number}"] for number in range(count)]
        numbers = found.get("probabilities") or found.get("values") or [found["value"]]
        assert numbers == pytest.approx(scores, abs=1e-5)
        if problem is None:
            best = theirs(one, top_k=1)[0]
            assert (found["label"], found["probability"]) == (best["label"], pytest.approx(best["score"], abs=1e-5))


@torch.inference_mode()
def test_answers_by_the_plain_way(make_folder: Callable[..., Path]) -> None:
    """Transformers has no pipeline for answers since version 5: its model's logits, and all pairs of tokens."""
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    path = make_folder("ForQuestionAnswering")
    model, tokenizer = AutoModelForQuestionAnswering.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    questions = ["the king", "of the mill", "x", "law", "the market"]
    rows = from_text(path, questions, TEXTS, cls_id=2, max_answer_tokens=3)
    for question, text, found in zip(questions, TEXTS, rows, strict=True):
        inputs = tokenizer(question, text, return_tensors="pt")
        output, ours = model(**inputs), np.array([one == 1 for one in inputs.sequence_ids(0)])
        counted = torch.from_numpy(ours)
        counted[0] = True
        start, end = (
            logits[0].masked_fill(~counted, -torch.inf).softmax(-1).numpy()
            for logits in (output.start_logits, output.end_logits)
        )
        pairs = [(a, b) for a in np.flatnonzero(ours) for b in np.flatnonzero(ours) if a <= b < a + 3]
        a, b = max(pairs, key=lambda pair: start[pair[0]] * end[pair[1]])
        chars = [inputs.word_to_chars(inputs.token_to_word(int(token)), sequence_index=1) for token in (a, b)]
        assert (found["char_start"], found["char_end"]) == (chars[0].start, chars[1].end)
        assert found["probability"] == pytest.approx(start[a] * end[b], abs=1e-6)
        assert found["no_answer"] == pytest.approx(start[0] * end[0], abs=1e-6)
