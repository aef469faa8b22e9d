"""A model small enough for a run to take a moment, shards for it, and a run without Ray to hold the real one to."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray.data import DataContext

from pipelines.fingerprint import fingerprint
from pipelines.model.calibration import Calibrated
from pipelines.run.order import Order
from pipelines.run.placement import Actors, Placement
from pipelines.run.quantizer import sample_of
from pipelines.run.report import Report
from pipelines.run.trunk import Run, open_run
from pipelines.spec import EmbedSpec
from pipelines.stages.attempts import Attempts
from pipelines.stages.calibrate import calibrate_on
from pipelines.stages.encode import ChunkEncoder, part_columns
from pipelines.stages.read import slices_of
from pipelines.stages.recipe import Recipe
from pipelines.stages.tokenize import ChunkTokenizer
from pipelines.stages.write import PartWriter

WORDS = [
    "the", "a", "an", "of", "to", "and", "in", "union", "state", "states", "ship", "harbour", "river", "stone",
    "bread", "wind", "night", "letter", "king", "garden", "war", "peace", "law", "gold", "horse", "market", "winter",
    "summer", "road", "bridge", "tower", "clock", "mill", "field", "wood", "glass", "paper", "song", "voice",
]  # fmt: skip
LETTERS = string.ascii_lowercase + string.digits + string.punctuation + "東京の天気éàñ"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
VOCABULARY = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]

FLAT = Placement(
    read_tasks=1, read_cpus=0, tokenize_actors=1, tokenize_cpus=0, encode_actors=Actors(1, 1, 1), encode_cpus=0,
    encode_gpus=0, num_threads=1, write_actors=1, write_cpus=0, object_store_bytes=0,
)  # fmt: skip


def save_model(folder: Path, *, max_seqlen: int = 32, prompts: dict[str, str] | None = None) -> Path:
    """A sentence-transformers folder: BERT of 2 layers x 32, WordPiece, mean pooling, normalized."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(7)
    BertModel(config).save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(VOCABULARY)}
    BertWordPieceTokenizer(vocabulary, lowercase=True).save(str(folder / "tokenizer.json"))
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "1_Pooling").mkdir()
    for name, value in {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": max_seqlen, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": {"prompts": prompts or {}},
    }.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def sentence(number: int, num_words: int = 7) -> str:
    """Words of the tiny model's vocabulary, others for each number."""
    return " ".join(WORDS[(number * 13 + place * (5 + number // 44)) % len(WORDS)] for place in range(num_words))


def write_shard(path: Path, num_rows: int = 10, first: int = 0, **columns: Any) -> pa.Table:
    """A shard with id, text and year, written as Parquet; further columns replace these or come beside."""
    numbers = range(first, first + num_rows)
    table = pa.table({"id": list(numbers), "text": [sentence(n) for n in numbers], "year": [1900 + n for n in numbers]})
    for name, values in columns.items():
        column = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        at = table.column_names.index(name) if name in table.column_names else table.num_columns
        table = table.set_column(at, name, column) if at < table.num_columns else table.append_column(name, column)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table


class InTurn:
    """Receipts as a dataset would give them, of stages that work one after another in this process."""

    def __init__(self, run: Run, recipe: Recipe) -> None:
        self._run = run
        columns = part_columns(run.ground.columns, recipe.spec)
        if recipe.spec.is_quantized and run.calibrated is None:
            run.calibrate(lambda: calibrate_on(sample_of(run), run.reading, recipe, ON_CPU, Attempts()))
        writer = PartWriter(run.output, columns, run.metadata)
        self._stages = (ChunkTokenizer(recipe), _encoder(recipe, run.calibrated), writer)

    def iter_batches(self, *, batch_size: None, batch_format: str) -> Iterator[pa.Table]:
        """One receipt after another."""
        for batch in slices_of(self._run.plan.stretches, self._run.reading):
            for stage in self._stages:
                batch = stage(batch)
            yield batch


ON_CPU = {"device": "cpu", "num_threads": 1}
ENCODERS: dict[str, ChunkEncoder] = {}


def _encoder(recipe: Recipe, calibrated: Calibrated | None) -> ChunkEncoder:
    """One encoder for all runs of a spec: the gate takes longer than the documents."""
    name = fingerprint(recipe.spec, recipe.identity.hash) + (calibrated.to_json().decode() if calibrated else "")
    if name not in ENCODERS:
        ENCODERS[name] = ChunkEncoder(recipe, ON_CPU, quantizer=calibrated.quantizer if calibrated else None)
    return ENCODERS[name]


def embed_in_turn(spec: EmbedSpec, documents: Path | str, output: Path | str, **order: Any) -> Report:
    """What ``jobs.embed`` does, without Ray."""
    recipe = Recipe.of(spec)
    asked = Order(job="embed", documents=str(documents), output=str(output), **{"progress": "none", **order})
    with open_run(asked, recipe) as run:
        if run.plan.stretches:
            run.follow(InTurn(run, recipe), FLAT)
        return run.finish()


@contextmanager
def own_data_context() -> Iterator[DataContext]:
    """A copy of Ray Data's settings, which a run changes; what was there comes back."""
    before = DataContext.get_current()
    DataContext._set_current(ours := before.copy())
    try:
        yield ours
    finally:
        DataContext._set_current(before)


def parts(output: Path) -> dict[str, bytes]:
    """Every part's bytes by its path under the output."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.glob("parts/*/*.parquet"))}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file under a folder, but those of the lease, which every run takes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in files
        if path.name not in ("lease.json", "lock")
    }


def rows(output: Path) -> list[dict[str, Any]]:
    """Every row of the parts, in order of shard and first row."""
    tables = [pq.read_table(path) for path in sorted(output.glob("parts/*/*.parquet"), key=_first_row)]
    return [row for table in tables for row in table.to_pylist()]


def _first_row(path: Path) -> tuple[str, int]:
    return path.parent.name, int(path.stem.split("-")[0])
