"""What of a folder travels to a cluster: the files that Ray's own packing takes, .gitignore and .rayignore heeded."""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package

from pipelines.errors import SpecError

MOST_BYTES = 500 * 2**20
"""Ray takes 512 MiB at most, and keeps it in the memory of the head."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A folder, and the bytes of each file that travels, by its path in the folder."""

    folder: Path
    files: Mapping[str, int]

    @property
    def num_bytes(self) -> int:
        """Bytes of all of them."""
        return sum(self.files.values())

    @property
    def by_room(self) -> dict[str, tuple[int, int]]:
        """Files and bytes by the first name of their paths, the largest first."""
        count, size = Counter[str](), Counter[str]()
        for path, num_bytes in self.files.items():
            room = path.partition("/")[0]
            count[room] += 1
            size[room] += num_bytes
        return {room: (count[room], size[room]) for room in sorted(size, key=lambda room: (-size[room], room))}

    def holds(self, path: str) -> bool:
        """Whether a file or folder of this path, relative to the folder, travels."""
        name = os.path.normpath(path)
        return name == "." or any(file == name or file.startswith(f"{name}/") for file in self.files)


def pack(folder: str | Path) -> Parcel:
    """What would travel of a folder. SpecError where there is no such folder, or more than Ray takes."""
    root = Path(folder).resolve()
    if not root.is_dir():
        raise SpecError(f"working_dir is {str(folder)!r}: there is no such folder; name the one that jobs/ is in")
    silent = logging.getLogger(f"{__name__}.ray")
    silent.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="manta-") as aside:
        package = Path(aside, "parcel.zip")
        heeds_git = os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0") != "1"  # as Ray's own client has it
        never = get_runtime_env_default_excludes()
        create_package(str(root), package, include_gitignore=heeds_git, excludes=never, logger=silent)
        with zipfile.ZipFile(package) as packed:
            files = {entry.filename: entry.file_size for entry in packed.infolist() if not entry.is_dir()}
    parcel = Parcel(folder=root, files=files)
    if parcel.num_bytes > MOST_BYTES:
        largest = next(iter(parcel.by_room))
        raise SpecError(
            f"{parcel.num_bytes:,} bytes of {root} would travel, most of them in {largest}: name it in .rayignore; "
            "data stay where every node sees them"
        )
    return parcel
