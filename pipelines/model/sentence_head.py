"""What follows the network of an embedding model, as it learns: pooling, further modules, and normalization.

Shapes: T tokens of m texts, D numbers of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from pipelines.model.folder import ModelFolder
from pipelines.model.heads import load_heads
from pipelines.model.pooling import pool


class SentenceHead(nn.Module):
    """Token vectors to one vector a text, in float32 whatever the network's precision."""

    def __init__(self, pooling: str, heads: nn.Sequential, *, normalizes: bool) -> None:
        super().__init__()
        self.pooling, self.heads, self.normalizes = pooling, heads, normalizes

    def forward(self, hidden_td: Tensor, lengths_m: Tensor) -> Tensor:
        """float32[m, D] of vectors [T, width] of texts that have so many tokens each."""
        with torch.autocast(hidden_td.device.type, enabled=False):
            vectors_md: Tensor = self.heads(pool(hidden_td, lengths_m, self.pooling))
            return normalize(vectors_md, dim=-1) if self.normalizes else vectors_md


def sentence_head(folder: ModelFolder) -> SentenceHead:
    """As the folder's modules say. Where it has none: the tokens' mean (a decoder's last token), normalized."""
    is_plain = not (folder.path / "modules.json").exists()
    heads = load_heads(folder, torch.device("cpu"))
    return SentenceHead(folder.pooling, heads, normalizes=folder.normalize or is_plain)
