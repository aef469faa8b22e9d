"""What an encoder asks of a network, whoever has written it, and what a network computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pipelines.model.folder import ModelFolder

Path = Literal["packed", "padded"]


class Network(Protocol):
    """A network on its device, in its precision, set for one path: the other path's method is not called.

    Shapes: B rows of S tokens, T tokens in all that are no padding, D width.
    """

    @property
    def path(self) -> Path:
        """Whether its batches are padded rows, or packed into one."""
        ...

    @property
    def pad_id(self) -> int:
        """Token id of the padding."""
        ...

    @property
    def vocab_size(self) -> int:
        """How many token ids it knows."""
        ...

    @property
    def work(self) -> Work:
        """What it computes."""
        ...

    def padded(self, input_ids_bs: Tensor, attention_mask_bs: Tensor, token_types_bs: Tensor | None = None) -> Tensor:
        """Vectors of the real tokens end to end, [T, D].

        Token types are 0, and 1 in a pair's second text; a network that knows none takes no notice of them.
        """
        ...

    def packed(
        self,
        input_ids_t: Tensor,
        position_ids_t: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        token_types_t: Tensor | None = None,
    ) -> Tensor:
        """Vectors of the tokens of chunks that lie end to end, [T, D]. Positions start at 0 in each chunk."""
        ...


@dataclass(frozen=True)
class Work:
    """What a network computes: numbers outside its embedding tables, and width * layers of its attention."""

    num_weights: int
    attention_width: int

    @classmethod
    def of(cls, weights: Iterable[Tensor], tables: Iterable[Tensor], attention_width: int) -> Work:
        """The work of a network with these weights, of which those in ``tables`` are looked up only."""
        numbers = sum(weight.numel() for weight in weights) - sum(table.numel() for table in tables)
        return cls(numbers, attention_width)

    def useful_flops(self, lengths: npt.NDArray[np.int64]) -> float:
        """FLOPs of a forward pass over chunks of these lengths, padding not counted.

        Twice the weights for each token, and 4 * length * width * layers for its attention.
        """
        return float((2.0 * self.num_weights * lengths + 4.0 * self.attention_width * lengths**2).sum())


def first_position(folder: ModelFolder) -> int:
    """Position id of a chunk's first token: pad_token_id + 1 in RoBERTa's family."""
    rows = int(folder.config.get("max_position_embeddings") or 0)
    return rows - folder.max_positions if 0 < folder.max_positions < rows else 0
