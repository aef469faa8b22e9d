from typing import Any

import torch
from transformers import BertModel


class LastLayers(BertModel):
    """BERT whose vectors are the mean of its last four layers."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        found = super().forward(*args, **{**kwargs, "output_hidden_states": True})
        found.last_hidden_state = torch.stack(found.hidden_states[-4:]).mean(0)
        return found
