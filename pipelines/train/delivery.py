"""What a training ends with: the model as a Hugging Face folder, at the root of its output."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path

from pipelines.model.export import export
from pipelines.model.pretraining import PretrainingModel
from pipelines.store.models import fetch
from pipelines.train.assignment import Assignment

LAST = "config.json"
"""Without it a folder is no model, so it is put when all else is there."""


def deliver(assignment: Assignment, model: PretrainingModel) -> list[str]:
    """Put the network, and the tokenizer that it was trained with, into the output; paths of the files.

    Each file is put whole, config.json as the last. StoreError where the world fails.
    """
    with tempfile.TemporaryDirectory(prefix="manta-") as aside:
        folder = Path(aside, "model")
        export(
            model,
            folder,
            tokenizer=fetch(assignment.tokenizer, assignment.storage),
            max_seqlen=assignment.max_seqlen,
            checkpoint=assignment.beginning.architecture(assignment.storage).checkpoint,
        )
        keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        keys.sort(key=lambda key: (key == LAST, key))
        for key in keys:
            assignment.output.put_written(key, partial(_copy, folder / key))
        return keys


def _copy(source: Path, place: Path) -> None:
    shutil.copyfile(source, place)
