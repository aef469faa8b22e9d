"""What an output holds: ``_manta/spec.json``, written once by the first run and compared by every later one."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.errors import FingerprintError, SpecError
from pipelines.fingerprint import canonical, differences, fingerprint
from pipelines.spec import Slicing
from pipelines.store.location import Conflict, Location
from pipelines.store.models import ModelReference

KEY = "_manta/spec.json"
FORMAT = 1
FINGERPRINT = "{fingerprint}"
UNTOUCHED = "nothing was touched"


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What made the results of an output, and how they are cut and named."""

    fingerprint: str
    kind: str
    """The class of the spec, such as EmbedSpec."""
    spec: dict[str, Any]
    """The resolved spec, as ``pipelines.spec.canonical`` gives it."""
    model: dict[str, Any]
    """The fields of the ModelReference: reference, resolved, kind, hash, trust_remote_code."""
    slicing: Slicing
    columns: dict[str, Any]
    """How documents are made of a shard's columns, and the types that the first run found: later ones cast to them."""

    @classmethod
    def of(cls, spec: object, model: ModelReference, slicing: Slicing, columns: dict[str, Any]) -> OutputSpec:
        """From a resolved spec and the model it names."""
        return cls(
            fingerprint=fingerprint(spec, model.hash),
            kind=type(spec).__name__,
            spec=canonical(spec),
            model=asdict(model),
            slicing=slicing,
            columns=columns,
        )

    def to_json(self) -> bytes:
        """Content of spec.json."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> OutputSpec:
        """What ``to_json`` wrote. Raises ValueError where it is not that."""
        values = json.loads(data)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}, which this version of Manta reads")
        try:
            found = cls(**values | {"slicing": Slicing(**values["slicing"])})
            if isinstance(found.model["hash"], str) and isinstance(found.spec, dict):
                return found
        except (KeyError, TypeError, SpecError) as error:
            raise ValueError(f"a field is missing, wrong or unknown: {error}") from None
        raise ValueError("a field has a wrong type")


def claim(output: Location, ours: OutputSpec) -> OutputSpec:
    """The spec of an output, which is ours if it is new; otherwise what its first run wrote.

    Theirs has our fingerprint, but its own slicing and columns, which stay as they are. Of two runs that claim a new
    output at once, one writes. Raises FingerprintError, with nothing touched, where the output has results of another
    spec, or parts and no spec.json.
    """
    agreed = agree(output, ours)
    if agreed is not ours:
        return agreed
    try:
        output.put_if(KEY, ours.to_json(), None)
    except Conflict:
        return agree(output, ours)
    return ours


def agree(output: Location, ours: OutputSpec) -> OutputSpec:
    """What ``claim`` would give now, with nothing written."""
    theirs = read_spec(output)
    if theirs is None:
        _refuse_parts(output)
        return ours
    if theirs.fingerprint != ours.fingerprint:
        raise FingerprintError(
            f"{output} holds results of another spec ({theirs.fingerprint}, ours is {ours.fingerprint}): "
            f"{'; '.join(_differences(ours, theirs))}; {UNTOUCHED}: {beside(output)}, or go back to that spec"
        )
    return theirs


def read_spec(output: Location) -> OutputSpec | None:
    """The spec of an output, None where there is none. Raises FingerprintError where it can't be read."""
    try:
        return OutputSpec.from_json(output.read(KEY))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FingerprintError(
            f"{output.join(KEY)} cannot be read ({error}), so it is unknown what made the parts there; "
            f"{UNTOUCHED}: restore it, use the version of Manta that wrote it, or {beside(output)}"
        ) from None


def expand(output_uri: str, fingerprint: str) -> str:
    """The URI of an output with ``{fingerprint}`` filled in. Raises SpecError for any other word in braces."""
    expanded = output_uri.replace(FINGERPRINT, fingerprint)
    if word := re.search(r"\{[^{}]*\}", expanded):
        raise SpecError(f"output {output_uri!r} has {word[0]}: the only word in braces is {FINGERPRINT}")
    return expanded


def beside(output: Location) -> str:
    """The advice to write into a neighbour of this output."""
    scheme, _, path = output.uri.rstrip("/").rpartition("://")
    parent = posixpath.dirname(path) or path  # a bucket has no parent: a folder in it then
    place = f"{scheme}://{parent}" if scheme else parent
    return f"write beside it with --output {place.rstrip('/')}/{FINGERPRINT}/"


def _refuse_parts(output: Location) -> None:
    part = next((entry.key for entry in output.list("parts/")), None)
    if part is not None:
        raise FingerprintError(
            f"{output} holds parts (such as {part}) but no {KEY}, so it is unknown what made them; {UNTOUCHED}: "
            f"restore that file, or {beside(output)}"
        )


def _differences(ours: OutputSpec, theirs: OutputSpec) -> list[str]:
    """The fields that differ. The model counts by its hash; its name is told beside it."""
    same = ours.model["hash"] == theirs.model["hash"]
    facts = []
    for output in (ours, theirs):
        model = "" if same else f"{output.model['reference']} (hash {output.model['hash'][:12]})"
        facts.append({**output.spec, "kind": output.kind, "model": model})
    return differences(*facts)
