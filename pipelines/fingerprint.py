"""Whether two specs make the same result: a hash of all that decides it, and a list of what differs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any


def canonical(spec: object) -> dict[str, Any]:
    """A spec as plain JSON values, fields in order of their names, without those that are idle in it."""
    values = asdict(spec)  # type: ignore[call-overload]
    return {name: values[name] for name in sorted(values.keys() - getattr(spec, "idle", frozenset()))}


def fingerprint(spec: object, model_hash: str) -> str:
    """Hash of everything that decides the result: 16 hexadecimal digits.

    ``spec`` has no "auto" left but in precision (see ``pipelines.model.folder.resolve``). The model counts by the hash
    of its files, not by the name it was found under.
    """
    values = canonical(spec) | {"model": model_hash, "kind": type(spec).__name__}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """One "name: theirs -> ours" for each field in which two canonical specs differ."""
    names = sorted(ours.keys() | theirs.keys())
    return [f"{n}: {theirs.get(n)!r} -> {ours.get(n)!r}" for n in names if ours.get(n) != theirs.get(n)]
