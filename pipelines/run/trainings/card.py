"""A model's card, the README.md of its folder: what it is, what it was trained on and how, how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.run.trainings.curves import NAMES
from pipelines.run.trainings.model_index import model_index

Row = Mapping[str, float]
PIPELINES = {"mlm": "fill-mask", "clm": "text-generation", "span": "text2text-generation"}
"""Pipeline of transformers that a loss trains for."""
LIBRARIES = {"sentence-similarity": "sentence-transformers"}
"""Which library loads it, by pipeline, where that is not transformers."""
MEASURES = {"loss": ".3f", "perplexity": ".2f", "accuracy": ".1%"}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card tells. Tables are names and values, in order."""

    name: str
    architecture: str
    made_of: Mapping[str, Any]
    """The corpus: where its instances are, how many, of which tokenizer."""
    spec: Mapping[str, Any]
    numbers: Mapping[str, Any]
    """What the training came to: steps, tokens, seconds, workers."""
    evaluation: Row
    """The last evaluation on held-out documents."""
    pipeline: str = ""
    """In transformers; "": as the losses say."""
    measured: str = ""
    """How well it does, as Markdown; "": what the last evaluation says."""
    metrics: Row = field(default_factory=dict)
    """The same for programs: metrics by name; {}: none are told."""
    measured_on: str = ""
    """Which data these are of."""
    remarks: Sequence[str] = ()
    """What whoever trained it was told, such as parts that the checkpoint lacked, and that began anew."""
    fingerprint: str = ""

    def __str__(self) -> str:
        """The card, as Markdown."""
        sections = [
            _front_matter(self),
            f"# {self.name}\n\n{self._introduction()}",
            f"## How well it does\n\n{self.measured or _evaluation(self.evaluation)}",
            "![losses and accuracies over the steps](curves.png)",
            f"## Corpus\n\n{_table(self.made_of)}",
            f"## Training\n\n{_table(self.numbers)}",
            f"<details><summary>Specification, fingerprint {self.fingerprint}</summary>\n\n"
            f"```json\n{json.dumps(dict(self.spec), indent=2)}\n```\n\n</details>",
        ]
        return "\n\n".join(section for section in sections if section) + "\n"

    def _introduction(self) -> str:
        told = "".join(f"\n- {remark}" for remark in self.remarks)
        return f"{self.architecture}, trained by Manta on the corpus below." + (f"\n{told}" if told else "")


def _front_matter(card: Card) -> str:
    told = next((PIPELINES[name] for name in PIPELINES if f"loss_{name}" in card.evaluation), "feature-extraction")
    pipeline = card.pipeline or told
    library = LIBRARIES.get(pipeline, "transformers")
    index = model_index(card.name, pipeline, card.measured_on, card.metrics)
    lines = ["---", f"library_name: {library}", f"pipeline_tag: {pipeline}", "tags:", "- manta", index, "---"]
    return "\n".join(line for line in lines if line)


def _evaluation(row: Row) -> str:
    """A line a loss, a column a measure; what was not measured stays empty."""
    measured = [name for name in NAMES if f"loss_{name}" in row]
    if not measured:
        return "No documents were held out."
    lines = ["On documents that were held out:\n", f"| | {' | '.join(MEASURES)} |", "|---|" + "---:|" * len(MEASURES)]
    for name in measured:
        asked = [measure for measure in MEASURES if measure != "perplexity" or name in PIPELINES]
        values = [row.get(f"{measure}_{name}") if measure in asked else None for measure in MEASURES]
        shown = ["" if value is None else format(value, MEASURES[m]) for m, value in zip(MEASURES, values, strict=True)]
        lines.append(f"| {NAMES[name]} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _table(values: Mapping[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_shown(value)} |" for name, value in values.items())])


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
