"""What a model's card says of its metrics so that programs read it: the model-index of Hugging Face's model cards.

Values are written as JSON, which YAML is made of too. See https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

TYPES = {
    "matthews": "matthews_correlation",
    "auroc": "roc_auc",
    "auprc": "average_precision",
    "spearman": "spearmanr",
    "pearson": "pearsonr",
}
"""What others call a metric, where that is not its name before "@"."""


def model_index(name: str, pipeline: str, dataset: str, metrics: Mapping[str, float]) -> str:
    """Lines of YAML: the metrics of a model of this name on these data; "" where none has a value."""
    finite = {metric: value for metric, value in metrics.items() if math.isfinite(value)}
    if not finite:
        return ""
    lines = [
        "model-index:",
        f"- name: {_told(name)}",
        "  results:",
        f"  - task: {_told({'type': pipeline})}",
        f"    dataset: {_told({'type': 'parquet', 'name': dataset})}",
        "    metrics:",
        *(line for metric, value in finite.items() for line in _metric(metric, value)),
    ]
    return "\n".join(lines)


def _metric(name: str, value: float) -> list[str]:
    kind = name.partition("@")[0]
    number = re.sub(r"^(-?\d)e", r"\1.0e", str(float(value)))  # without a point YAML takes 1e-07 for a text
    return [f"    - type: {_told(TYPES.get(kind, kind))}", f"      name: {_told(name)}", f"      value: {number}"]


def _told(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
