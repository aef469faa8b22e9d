"""What a training ends with: the model as a Hugging Face folder, at the root of its output."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.model.export import export
from pipelines.model.pretraining import PretrainingModel
from pipelines.store.location import Location
from pipelines.store.models import fetch

if TYPE_CHECKING:
    from pipelines.train.pretrain_course import PretrainCourse

LAST = "config.json"
"""Without it a folder is no model, so it is put when all else is there."""


def deliver(course: PretrainCourse, output: Location, model: PretrainingModel) -> list[str]:
    """Put the network, and the tokenizer that it was trained with, into the output; paths of the files.

    StoreError where the world fails.
    """
    with tempfile.TemporaryDirectory(prefix="manta-") as aside:
        folder = Path(aside, "model")
        export(
            model,
            folder,
            tokenizer=fetch(course.tokenizer, course.storage),
            max_seqlen=course.max_seqlen,
            checkpoint=course.beginning.architecture(course.storage).checkpoint,
        )
        return put_model(output, folder)


def put_model(output: Location, folder: Path) -> list[str]:
    """Put a model's files into the output, each whole, config.json as the last; their paths. StoreError."""
    keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    keys.sort(key=lambda key: (key == LAST, key))
    for key in keys:
        output.put_written(key, partial(_copy, folder / key))
    return keys


def _copy(source: Path, place: Path) -> None:
    shutil.copyfile(source, place)
