"""What a training is to begin with, found and checked against its instances before anything starts."""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import SpecError
from pipelines.learning_spec import LearningSpec
from pipelines.model.architecture import Architecture, check_architecture, read_architecture
from pipelines.model.objectives import pick_objective
from pipelines.model.token_ids import TokenIds, read_token_ids
from pipelines.pretrain_spec import PRESETS, PretrainSpec
from pipelines.run.trainings.training_order import TrainingOrder
from pipelines.spec import Storage
from pipelines.store.digests import content_digest
from pipelines.store.instances import InstanceOutput
from pipelines.store.location import locate
from pipelines.store.models import ModelReference, fetch, identify
from pipelines.store.user_code import UserCode, put_on_path, read_user_code
from pipelines.train.assignment import Beginning


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A spec whose objective is settled, and what it begins with."""

    spec: PretrainSpec
    beginning: Beginning
    code: UserCode | None
    local_model: str
    """Path of the model where it is a folder on a disk, "" otherwise."""


def begin(order: TrainingOrder, spec: PretrainSpec, instances: InstanceOutput) -> Begun:
    """Find what the spec's architecture names, and settle the objective.

    SpecError where there is no such thing, or where it does not fit the instances or the objective.
    """
    made = instances.spec.spec
    known = read_token_ids(fetch(instances.tokenizer, order.storage))
    architecture, model = _find(spec, order.storage, known)
    settled = replace(spec, objective=pick_objective(spec.objective, made["objective"], architecture.family))
    check_architecture(architecture, known, int(made["max_seqlen"]))
    code, class_hash = own_class(spec, order.user_code)
    digest = model.hash if model else _config_hash(architecture)
    beginning = Beginning(
        name=spec.architecture,
        config=architecture.config,
        hash=with_class(digest, class_hash),
        model=model,
    )
    local = model.resolved if model and model.kind == "folder" else ""
    return Begun(spec=settled, beginning=beginning, code=code, local_model=local)


def _find(spec: PretrainSpec, storage: Storage, known: TokenIds) -> tuple[Architecture, ModelReference | None]:
    """The architecture, and the model that it is of; None where the spec names a preset or a config.json."""
    where = spec.architecture
    if where in PRESETS:
        return read_architecture(where, known), None
    if where.endswith(".json"):
        return replace(_read_config(where, storage, known), name=where), None
    model = identify(where, storage, trust_remote_code=spec.trust_remote_code)
    return replace(read_architecture(fetch(model, storage), known), name=where), model


def _read_config(where: str, storage: Storage, known: TokenIds) -> Architecture:
    """The architecture of a config.json, wherever it is."""
    try:
        content = locate(where, storage).read()
    except FileNotFoundError:
        raise SpecError(
            f"architecture {where}: there is no such file; write a preset, a config.json or a model"
        ) from None
    with tempfile.TemporaryDirectory(prefix="manta-") as folder:
        path = Path(folder, "config.json")
        path.write_bytes(content)
        return read_architecture(path, known)


def _config_hash(architecture: Architecture) -> str:
    told = json.dumps(dict(architecture.config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def with_class(digest: str, class_hash: str) -> str:
    """Hash of a model, or of a config, and of the class that makes the network of it ("": none of the user's)."""
    return hashlib.sha256(f"{digest}\0{class_hash}".encode()).hexdigest() if class_hash else digest


def own_class(spec: LearningSpec, user_code: str) -> tuple[UserCode | None, str]:
    """The user's code, and the hash of what the class is in; (None, "") where the spec names none."""
    if not spec.model_class:
        if user_code:
            raise SpecError(f"user_code {user_code} is given, and no class of it: name one by --spec.model_class")
        return None, ""
    from pipelines.model.user_class import user_class  # torch, which the driver does not need otherwise

    code = read_user_code(user_code) if user_code else None
    if code:
        put_on_path(code, spec.model_class.rpartition(".")[0])
    found = user_class(spec.model_class)
    return code, code.hash if code else content_digest(Path(inspect.getfile(found)))
