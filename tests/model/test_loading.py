from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.errors import SpecError
from pipelines.model.bert import BertNetwork
from pipelines.model.folder import read_folder
from pipelines.model.hugging_face import HuggingFaceNetwork
from pipelines.model.loading import load_network
from tests.model.conftest import spec_for

CPU = torch.device("cpu")


def load(where: Path, **how: Any) -> Any:
    folder = read_folder(where)
    return load_network(folder, spec_for(folder), device=CPU, precision="float32", **how)


@pytest.mark.parametrize(("family", "ours"), [("Bert", True), ("Roberta", True), ("ModernBert", False), ("T5", False)])
def test_bert_is_ours_and_the_rest_is_transformers(make_folder: Callable[..., Path], family: str, ours: bool) -> None:
    assert isinstance(load(make_folder(family)), BertNetwork if ours else HuggingFaceNetwork)


def test_the_plain_path_is_always_transformers(make_folder: Callable[..., Path]) -> None:
    network = load(make_folder(), attention="eager")
    assert isinstance(network, HuggingFaceNetwork)
    assert network.module.config._attn_implementation == "eager"


def test_bert_by_other_names_is_transformers_to_refuse(make_folder: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    path = make_folder()
    weights = load_file(path / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SpecError, match=r"lacks 1 weights such as encoder\.layer\.1\.output\.dense\.weight"):
        load(path)


@pytest.mark.parametrize("family", ["Bert", "ModernBert"])
def test_on_a_cpu_rows_are_padded_unless_packed_is_asked_for(make_folder: Callable[..., Path], family: str) -> None:
    path = make_folder(family)
    assert load(path).path == "padded"
    assert load(path, path="packed").path == "packed"


def test_what_cannot_run_packed_is_refused(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(SpecError, match="a t5 network cannot run packed"):
        load(make_folder("T5"), path="packed")


def test_bert_needs_no_transformers() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import pipelines.model.loading, pipelines.model.encoder, pipelines.model.tokenizer;"
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
