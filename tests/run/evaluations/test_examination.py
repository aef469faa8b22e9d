"""Classifiers held against labelled data on real Ray, and against what transformers tells of the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from jobs.entry import RayCluster, start, start_ray
from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.model.folder import read_folder
from pipelines.run.evaluations.evaluation import evaluate_model
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.evaluations.evaluation_report import Evaluation
from pipelines.run.evaluations.examination import pool_of, task_of
from pipelines.run.evaluations.means import Means
from pipelines.spec import EncodePool, TokenizePool
from tests.labelled import write_rows
from tests.tiny import own_data_context, sentence

pytestmark = pytest.mark.timeout(600)

TEXTS = [sentence(n, 3 + n % 9) for n in range(24)]
FLOAT32 = EvaluationSpec(precision="float32")


def save(folder: Path, model: Path, head: str, labels: tuple[str, ...], **config: Any) -> Path:
    """The tiny model with a head that was drawn."""
    torch.manual_seed(3)
    told = {"id2label": dict(enumerate(labels)), "label2id": {name: n for n, name in enumerate(labels)}}
    kind = getattr(transformers, f"BertFor{head}")
    made = transformers.BertConfig.from_pretrained(model, **told, initializer_range=0.5, **config)
    kind.from_pretrained(model, config=made).save_pretrained(folder)
    for name in ("tokenizer.json",):
        (folder / name).write_bytes((model / name).read_bytes())
    return folder


def told(folder: Path, texts: list[str]) -> np.ndarray:
    """Logits of transformers, text by text."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return np.concatenate([model(**tokenizer(text, return_tensors="pt")).logits.numpy() for text in texts])


@pytest.fixture
def means(ray_session: None) -> Iterator[Means]:
    pools = {"cpu": TokenizePool(max_actors=1, num_cpus=0.25), "gpu": EncodePool(num_cpus=1, num_threads=1)}
    with own_data_context():
        yield Means(**pools, begin=partial(start, cluster=RayCluster()), join=partial(start_ray, RayCluster()))


def evaluated(folder: Path, model: Path, means: Means, spec: EvaluationSpec, **columns: Any) -> Evaluation:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not (folder / "data/x.parquet").exists():
        write_rows(folder / "data/x.parquet", rows)
    order = EvaluationOrder(
        model=str(model), data=str(folder / "data"), output=str(folder / "out"), progress="none", max_dead_letters=1.0
    )
    report = evaluate_model(order, spec, means)
    (found,) = report.evaluations
    assert report.exit_code == 0
    return found


def test_classes_are_told_as_transformers_tells_them(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    model = save(tmp_path / "model", tiny_model, "SequenceClassification", ("eggs", "ham", "spam"))
    logits = told(model, TEXTS)
    labels = [("eggs", "ham", "spam")[n % 3] for n in range(24)]
    right = np.arange(24) % 3
    found = evaluated(tmp_path, model, means, FLOAT32, text=TEXTS, label=labels)
    assert found.task == "classification"
    assert found.counts == {"examples": 24}
    assert found.metrics["accuracy"] == pytest.approx((logits.argmax(1) == right).mean())
    chances = torch.from_numpy(logits).double().log_softmax(1).numpy()
    assert found.metrics["loss_class"] == pytest.approx(-chances[np.arange(24), right].mean(), abs=1e-5)
    assert set(found.by_class) == {"eggs", "ham", "spam"}
    assert list(found.pictures) == ["confusion.png"]
    again = evaluated(tmp_path, model, means, FLOAT32, text=TEXTS, label=labels)
    assert again.metrics == found.metrics


def test_several_labels_and_values_have_their_metrics(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    several = save(
        tmp_path / "several", tiny_model, "SequenceClassification", ("a", "b"),
        problem_type="multi_label_classification",
    )  # fmt: skip
    right = (np.arange(24)[:, None] % (2, 3)) == 0
    labels = [[name for name, has in zip("ab", row, strict=True) if has] for row in right.tolist()]
    found = evaluated(tmp_path / "1", several, means, FLOAT32, text=TEXTS, label=labels)
    assert found.metrics["exact_match"] == pytest.approx(((told(several, TEXTS) > 0) == right).all(1).mean())
    assert list(found.pictures) == ["classes.png"]
    value = save(tmp_path / "value", tiny_model, "SequenceClassification", ("price",))
    numbers = told(value, TEXTS)[:, 0]
    spec = EvaluationSpec(precision="float32", label="price")
    found = evaluated(tmp_path / "2", value, means, spec, text=TEXTS, price=(numbers + 1).tolist())
    assert found.task == "regression"
    assert found.metrics["spearman"] == pytest.approx(1)
    assert found.metrics["rmse"] == pytest.approx(1, abs=1e-4)
    assert list(found.pictures) == ["scores.png"]


def test_tags_are_told_of_words(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    labels = ("O", "B-PER", "I-PER")
    model = save(tmp_path / "model", tiny_model, "TokenClassification", labels)
    network = transformers.AutoModelForTokenClassification.from_pretrained(model).eval()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"))
    words = [text.split() for text in TEXTS]
    own = []
    for row in words:
        given = tokenizer(row, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            best = network(**given).logits[0].argmax(-1).tolist()
        places = given.word_ids()
        own.append([labels[best[places.index(number)]] for number in range(len(row))])
    found = evaluated(tmp_path, model, means, EvaluationSpec(text="words", precision="float32"), words=words, tags=own)
    assert (found.task, found.metrics["f1"], found.metrics["token_accuracy"]) == ("token_classification", 1, 1)
    assert found.counts == {"examples": 24, "words": sum(map(len, words))}
    assert list(found.by_class) == ["PER"]


def test_questions_are_answered_across_windows(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    model = save(tmp_path / "model", tiny_model, "QuestionAnswering", ("LABEL_0", "LABEL_1"))
    contexts = [" ".join(TEXTS[n : n + 4]) for n in range(6)]
    answers = [
        {"text": [context.split()[3]], "answer_start": [context.index(context.split()[3])]} for context in contexts
    ]
    spec = EvaluationSpec(text="question", text_pair="context", stride=4, max_seqlen=24, precision="float32")
    found = evaluated(tmp_path, model, means, spec, question=TEXTS[:6], context=contexts, answers=answers)
    assert found.task == "question_answering"
    assert found.counts["questions"] == 6
    assert found.counts["windows"] > 6
    assert 0 <= found.metrics["exact_match"] <= found.metrics["f1"] <= 1


def test_a_model_without_the_weights_of_its_head_is_refused(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    model = save(tmp_path / "model", tiny_model, "SequenceClassification", ("a", "b"))
    transformers.BertModel.from_pretrained(tiny_model).save_pretrained(tmp_path / "bare")
    (model / "model.safetensors").write_bytes((tmp_path / "bare/model.safetensors").read_bytes())
    with pytest.raises(SpecError, match="lacks the weights of its classification head"):
        evaluated(tmp_path, model, means, FLOAT32, text=TEXTS[:2], label=["a", "b"])


def test_a_refusal_names_what_was_asked(tiny_model: Path, tmp_path: Path, means: Means) -> None:
    """The examples are a fine-tuning's, and nobody asked for one."""
    model = save(tmp_path / "model", tiny_model, "SequenceClassification", ("a", "b"))
    with pytest.raises(SpecError, match=r"^EvaluationSpec.label is 'genre': .* no column 'genre' \(its columns: "):
        evaluated(tmp_path, model, means, replace(FLOAT32, label="genre"), text=TEXTS[:2], label=["a", "b"])


def test_what_a_folder_tells(tiny_model: Path, tmp_path: Path) -> None:
    values = save(tmp_path / "m", tiny_model, "SequenceClassification", ("a", "b"), problem_type="regression")
    with pytest.raises(SpecError, match="tells 2 values, and a metric is of one"):
        task_of(read_folder(values))
    order = EvaluationOrder(model=str(values), output=str(tmp_path / "o"), queries="q", documents="d", qrels="r")
    with pytest.raises(SpecError, match="is a classifier and finds no documents"):
        evaluate_model(order, FLOAT32, Means(begin=lambda run, **pools: pytest.fail("Ray"), join=lambda: None))


def test_as_many_workers_as_encoders_are_asked_for() -> None:
    assert pool_of(EncodePool()).workers == 1
    pool = pool_of(EncodePool(max_actors=3, num_gpus=0.5, token_budget=512))
    assert (pool.workers, pool.num_gpus, pool.token_budget) == (3, 1, 512)
