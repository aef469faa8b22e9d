"""Names of classes that a shard's footer tells where labels are numbers, as the library ``datasets`` writes them."""

from __future__ import annotations

import json
from typing import Any

from pipelines.spec import Storage
from pipelines.store.shards import Shard, open_shard

KEY = b"huggingface"


def read_class_names(shard: Shard, column: str, storage: Storage = Storage()) -> list[str]:
    """The names of 0, 1, ... in a column, or in its lists; [] where the footer tells none."""
    with open_shard(shard, storage) as file:
        found = (file.schema_arrow.metadata or {}).get(KEY)
    try:
        feature: Any = json.loads(found or b"{}")["info"]["features"][column]
        while "names" not in feature:
            feature = feature[0] if isinstance(feature, list) else feature["feature"]
        return [str(name) for name in feature["names"]]
    except (ValueError, KeyError, TypeError, IndexError):
        return []  # another's note, or none
