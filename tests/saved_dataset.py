"""A folder as ``datasets.save_to_disk`` writes it: Arrow streams, and what they are in JSON beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["sad", "glad"], "_type": "ClassLabel"},
}


def save_dataset(folder: Path, *shards: pa.Table) -> None:
    """Write the tables as the data files of a dataset, and a cache beside them that is none of its data."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
    note = json.dumps({"info": {"features": FEATURES}})
    for name, table in [*zip(names, shards, strict=True), ("cache-1a2b3c.arrow", shards[0])]:
        with pa.ipc.new_stream(folder / name, table.schema.with_metadata({"huggingface": note})) as writer:
            writer.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "1a2b3c", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))


def save_splits(folder: Path, **splits: pa.Table) -> None:
    """Write a DatasetDict of these splits."""
    for name, table in splits.items():
        save_dataset(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
