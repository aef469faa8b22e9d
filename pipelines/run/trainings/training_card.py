"""The card of a model that a training made."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from pipelines.run.display import duration
from pipelines.run.trainings.card import Card
from pipelines.run.trainings.delivered import section
from pipelines.run.trainings.training_books import TrainingBooks
from pipelines.run.trainings.training_ground import About, TrainingGround

CARD = "README.md"


def card_of(ground: TrainingGround, books: TrainingBooks, evaluation: Mapping[str, float]) -> Card:
    """From what the training stands on, what came of it, and its last evaluation ({}: none)."""
    about = ground.about
    return Card(
        name=posixpath.basename(ground.output.uri.rstrip("/")),
        architecture=about.begins_with,
        made_of=about.made_of,
        spec=about.spec,
        numbers=_numbers(about, books),
        evaluation=evaluation,
        pipeline=about.pipeline,
        measured=section(books.delivered),
        metrics=books.delivered.get("metrics", {}),
        measured_on=about.evaluated_on,
        remarks=books.warnings,
        fingerprint=ground.agreed.fingerprint,
    )


def _numbers(about: About, books: TrainingBooks) -> dict[str, object]:
    row = books.row
    told: dict[str, object] = {"steps": books.step, "instances of a step": about.global_batch}
    if row:
        told["tokens"] = int(row["tokens"])
        told["epochs"] = round(row["position"] / about.num_instances, 2)
        told["time"] = duration(row["seconds"])
    told |= {name: books.facts[name] for name in ("precision", "chip", "parameters") if books.facts.get(name)}
    return told | ({"unigram entropy of the corpus": round(entropy, 3)} if (entropy := _entropy(books)) else {})


def _entropy(books: TrainingBooks) -> float:
    return float(books.facts.get("unigram_entropy", 0.0))
