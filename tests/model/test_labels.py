"""What configs say of labels, by hand, and as transformers reads the same files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import SpecError
from pipelines.model.folder import ModelFolder, read_folder
from pipelines.model.labels import Labels, read_labels
from pipelines.store.models import package_folder

AB = {"0": "A", "1": "B"}


def folder_of(path: Path, kind: str = "ForSequenceClassification", family: str = "bert", **fields: Any) -> ModelFolder:
    config = {"model_type": family, "hidden_size": 8, "architectures": [f"Some{kind}"], **fields}
    (path / "config.json").write_text(json.dumps(config))
    save_file({"words.weight": torch.ones(1)}, path / "model.safetensors")
    return read_folder(path)


@pytest.mark.parametrize(
    ("fields", "names", "problem"),
    [
        ({"id2label": {"1": "B", "0": "A"}}, ("A", "B"), "single_label"),
        ({"id2label": AB, "num_labels": 2}, ("A", "B"), "single_label"),
        ({"id2label": AB, "problem_type": "multi_label_classification"}, ("A", "B"), "multi_label"),
        ({"id2label": AB, "problem_type": "regression"}, ("A", "B"), "regression"),
        ({"id2label": {"0": "LABEL_0"}}, ("LABEL_0",), "regression"),
        ({"id2label": {"0": "A"}, "problem_type": "multi_label_classification"}, ("A",), "multi_label"),
        ({"num_labels": 3, "id2label": None}, ("LABEL_0", "LABEL_1", "LABEL_2"), "single_label"),
        ({}, ("LABEL_0", "LABEL_1"), "single_label"),
        ({"id2label": {str(n): f"L{n}" for n in range(11)}}, tuple(f"L{n}" for n in range(11)), "single_label"),
    ],
)
def test_labels_of_a_chunk(tmp_path: Path, fields: dict[str, Any], names: tuple[str, ...], problem: Any) -> None:
    folder = folder_of(tmp_path, **fields)
    assert read_labels(folder) == Labels(kind="sequence", names=names, problem=problem)
    from transformers import AutoConfig

    theirs = AutoConfig.from_pretrained(tmp_path)
    assert tuple(theirs.id2label[number] for number in range(theirs.num_labels)) == names


def test_labels_of_tokens_and_answers(tmp_path: Path) -> None:
    one = {"id2label": {"0": "O"}, "problem_type": "regression"}
    assert read_labels(folder_of(tmp_path, "ForTokenClassification", **one)) == Labels(kind="token", names=("O",))
    answer = Labels(kind="answer", names=("start", "end"))
    assert read_labels(folder_of(tmp_path, "ForQuestionAnswering")) == answer


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        ("ForSequenceClassification", {"id2label": {"0": "A", "2": "B"}}, "has id2label for 0, 2: name each of the 2"),
        ("ForTokenClassification", {"id2label": AB, "num_labels": 3}, "has id2label for 0, 1: name each of the 3"),
        ("ForSequenceClassification", {"id2label": {"a": "A"}}, "has id2label for a: name each of the 1 labels"),
        ("ForSequenceClassification", {"num_labels": 0}, "has num_labels 0: write a whole number from 1 on"),
        ("ForSequenceClassification", {"problem_type": "ranking"}, "has problem_type 'ranking': write single_label_"),
        (
            "ForSequenceClassification",
            {"id2label": {"0": "A"}, "problem_type": "single_label_classification"},
            "has problem_type single_label_classification and one label: write regression or multi_label",
        ),
        ("ForQuestionAnswering", {"num_labels": 3}, "has 3 labels, an answer has 2 ends: choose a model"),
        ("Model", {}, "can't give classify: this folder's SomeModel carries no classification head"),
    ],
)
def test_configs_that_do_not_fit(tmp_path: Path, kind: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecError) as refusal:
        read_labels(folder_of(tmp_path, kind, **fields))
    assert why in str(refusal.value)


def test_real_labels() -> None:
    """The file says num_labels 50, and id2label for two."""
    labels = read_labels(read_folder(package_folder("package:rxnfp/models/transformers/bert_ft_10k_25s")))
    assert labels == Labels(kind="sequence", names=tuple(f"LABEL_{number}" for number in range(50)))


def test_what_a_saved_model_says(make_folder: Callable[..., Path]) -> None:
    told = {"id2label": {0: "O", 1: "B-PER", 2: "I-PER"}}
    folder = read_folder(make_folder("DistilBert", kind="ForTokenClassification", fields=told))
    assert read_labels(folder) == Labels(kind="token", names=("O", "B-PER", "I-PER"))
