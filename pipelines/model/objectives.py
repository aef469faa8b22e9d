"""By which objective a family can be pretrained, told from its name."""

from __future__ import annotations

from typing import Literal

from pipelines.errors import SpecError
from pipelines.model.abilities import MASK_HEADS, SPAN_WRITERS
from pipelines.pretrain_spec import Objective

TRAINED: dict[str, tuple[Objective, ...]] = {
    **dict.fromkeys(MASK_HEADS, ("mlm",)),
    **dict.fromkeys(SPAN_WRITERS, ("span",)),
    "bert": ("mlm+nsp", "mlm+sop", "mlm"),
    "albert": ("mlm+sop", "mlm"),
    "gpt2": ("causal",),
}
"""Objectives by model_type. Heads for pairs of segments are BERT's and ALBERT's alone."""


def pick_objective(wish: Objective | Literal["auto"], made_for: str, family: str) -> Objective:
    """The objective that a network of this family is trained by on instances that were made for ``made_for``.

    auto: what they were made for where the family can have it, else what it can have without pairs of segments.
    SpecError where the family or the instances do not serve.
    """
    can = TRAINED.get(family, ())
    if not can:
        raise SpecError(f"networks of the family {family!r} are not trained here: choose among {', '.join(TRAINED)}")
    picked = _own(made_for, can) if wish == "auto" else wish
    if picked not in can:
        raise SpecError(f"a {family} network can't have the objective {picked}{_because(family, picked)}")
    if not _serves(made_for, picked):
        fact = f"whose pairs are not for {picked}" if "+" in made_for else f"without the pairs that {picked} needs"
        others = [name for name in can if _serves(made_for, name)]
        raise SpecError(
            f"the instances were made for {made_for}, {fact}: prepare them with objective "
            f"{picked if '+' in picked else 'mlm'}{', or train by ' if others else ''}{' or '.join(others)}"
        )
    return picked


def _own(made_for: str, can: tuple[Objective, ...]) -> Objective:
    return next((name for name in can if name == made_for), can[-1])


def _serves(made_for: str, objective: str) -> bool:
    """Masked tokens can be told in all instances; sentences in those made for it, texts without pairs as they are."""
    return objective in ("mlm", made_for) or (objective in ("causal", "span") and made_for == "mlm")


def _because(family: str, objective: str) -> str:
    """Why it cannot, and what would do."""
    can = TRAINED[family]
    reason = ""
    if "+" in objective:
        reason = ", it tells the order of segments" if family == "albert" else ", it has no head for pairs of segments"
    families = [name for name in TRAINED if objective in TRAINED[name]]
    return f"{reason}: write {' or '.join(can)}, or choose another family ({', '.join(families)})"
