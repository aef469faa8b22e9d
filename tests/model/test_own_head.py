"""Heads by themselves against the whole models that they were taken from, and models that they can't be taken from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.errors import SpecError
from pipelines.model import own_head
from pipelines.model.own_head import head_beside, take_head

LENGTHS = np.array([3, 21, 1, 9, 9, 32])


def whole_model(path: Path, kind: str) -> Any:
    import transformers

    return getattr(transformers, f"AutoModelFor{kind}").from_pretrained(path).eval()


def vectors(network: Any, ids: torch.Tensor) -> torch.Tensor:
    """[T, D] of the chunks, one at a time."""
    hidden = [network(input_ids=row[None]).last_hidden_state[0] for row in ids.split(LENGTHS.tolist())]
    return torch.cat(hidden)


@torch.inference_mode()
def expected(whole: Any, ids: torch.Tensor) -> torch.Tensor:
    found = [whole(input_ids=row[None]).logits for row in ids.split(LENGTHS.tolist())]
    return torch.cat([logits if logits.dim() == 2 else logits[0] for logits in found])


@pytest.mark.parametrize("at_a_time", [2**16, 40, 1])
@pytest.mark.parametrize(
    ("family", "kind"),
    [("Bert", "Sequence"), ("ModernBert", "Sequence"), ("GPT2", "Sequence"), ("Llama", "Sequence"), ("Bert", "Token")],
)
def test_heads_in_pieces(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, family: str, kind: str, at_a_time: int
) -> None:
    monkeypatch.setattr(own_head, "PADDED_TOKENS", at_a_time)
    fields = {"num_labels": 3, "classifier_pooling": "mean"} if family == "ModernBert" else {"num_labels": 3}
    path = make_folder(family, kind=f"For{kind}Classification", fields=fields)
    whole = whole_model(path, f"{kind}Classification")
    ids = torch.from_numpy(np.random.default_rng(4).integers(5, 60, LENGTHS.sum()))
    wanted = expected(whole, ids)
    network = whole.base_model
    head = take_head(whole, "sequence" if kind == "Sequence" else "token", 3)
    with torch.inference_mode():
        found = head(vectors(network, ids), ids.numpy(), LENGTHS)
    assert wanted.std() > 0.05
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_text_that_ends_with_the_padding_token(make_folder: Callable[..., Path]) -> None:
    """GPT-2's class seeks the last token that is no padding, also in one text alone."""
    whole = whole_model(
        make_folder("GPT2", kind="ForSequenceClassification", fields={"pad_token_id": 3}), "SequenceClassification"
    )
    ids = torch.tensor([7, 8, 3, 9, 10, 3, 3, 8])
    with torch.inference_mode():
        wanted = torch.cat([whole(input_ids=row[None]).logits for row in ids.split([3, 4, 1])])
        hidden = torch.cat([whole.base_model(row[None]).last_hidden_state[0] for row in ids.split([3, 4, 1])])
        found = take_head(whole, "sequence", 2)(hidden, ids.numpy(), np.array([3, 4, 1]))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_head_beside_its_model_learns_with_it(make_folder: Callable[..., Path]) -> None:
    whole = whole_model(make_folder("Bert", kind="ForSequenceClassification"), "SequenceClassification")
    ids = torch.from_numpy(np.random.default_rng(4).integers(5, 60, LENGTHS.sum()))
    wanted, names = expected(whole, ids), set(whole.state_dict())
    found = head_beside(whole, "sequence")(vectors(whole.base_model, ids), ids.numpy(), LENGTHS)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    found.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in whole.classifier.parameters())
    assert whole.bert.pooler.dense.weight.grad.any()
    assert set(whole.state_dict()) == names
    torch.testing.assert_close(expected(whole, ids), wanted)


def test_threads_do_not_meet(make_folder: Callable[..., Path]) -> None:
    whole = whole_model(make_folder("Albert", kind="ForSequenceClassification"), "SequenceClassification")
    head = take_head(whole, "sequence", 2)
    batches = [torch.randn(12, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(40)]

    @torch.inference_mode()
    def run(hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = head(hidden, np.arange(12), np.array([5, 7]))
        return found

    alone = [run(hidden) for hidden in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(run, batches))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_the_head_is_in_float32_and_the_network_stays_as_it_is(make_folder: Callable[..., Path]) -> None:
    path = make_folder("Bert", kind="ForSequenceClassification")
    whole = whole_model(path, "SequenceClassification").to(torch.bfloat16)
    network = whole.base_model
    head = take_head(whole, "sequence", 2)
    assert {weight.dtype for weight in head.parameters()} == {torch.float32}
    assert {weight.dtype for weight in network.parameters()} == {torch.bfloat16}
    assert network.config.pad_token_id == 0
    names = {name.split(".")[1] for name, _ in head.named_parameters()}
    assert names == {"bert", "classifier"}
    assert sum(weight.numel() for weight in head.parameters()) == 32 * 32 + 32 + 2 * 32 + 2
    assert head(torch.ones(3, 32, dtype=torch.bfloat16), np.ones(3), np.array([3])).dtype == torch.float32


def bert_classes() -> tuple[Any, Any]:
    """BERT's config and its class for chunks, which the tests' own models are made of."""
    from transformers import BertConfig, BertForSequenceClassification

    return BertConfig, BertForSequenceClassification


def small(kind: Any) -> Any:
    config = bert_classes()[0](
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
        initializer_range=0.3,
    )
    return kind(config).eval()


def test_a_class_of_the_users_own() -> None:
    """With a head that looks at all tokens."""

    class Meanest(bert_classes()[1]):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.reader = nn.LSTM(16, 16, batch_first=True)

        def forward(self, input_ids: Any = None, attention_mask: Any = None, **kwargs: Any) -> Any:
            from transformers.modeling_outputs import SequenceClassifierOutput

            vectors = self.bert(input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
            read = self.reader(vectors)[0].masked_fill(~attention_mask.bool()[..., None], torch.inf).amin(1)
            return SequenceClassifierOutput(logits=self.classifier(read))

    whole = small(Meanest)
    ids = torch.tensor([5, 6, 7, 8, 9])
    with torch.inference_mode():
        ones = [torch.ones(1, size, dtype=torch.int64) for size in (2, 3)]
        rows = list(zip(ids.split([2, 3]), ones, strict=True))
        wanted = torch.cat([whole(row[None], attention_mask=one).logits for row, one in rows])
        hidden = torch.cat([whole.bert(row[None]).last_hidden_state[0] for row, _ in rows])
        found = take_head(whole, "sequence", 2)(hidden, ids.numpy(), np.array([2, 3]))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_head_that_asks_for_more_than_the_last_vectors() -> None:
    class Deep(bert_classes()[1]):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
            from transformers.modeling_outputs import SequenceClassifierOutput

            layers = self.bert(input_ids, output_hidden_states=True, **kwargs).hidden_states
            return SequenceClassifierOutput(logits=self.classifier(layers[1][:, 0]))

    with pytest.raises(
        SpecError,
        match=r"head of Deep does not run on the last vectors of its network \(TypeError: .*\): write a forward",
    ):
        take_head(small(Deep), "sequence", 2)


def test_a_model_that_does_something_before_its_network() -> None:
    class Early(bert_classes()[1]):  # type: ignore[misc]
        def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
            return super().forward(input_ids % 3, **kwargs)

    with pytest.raises(SpecError, match="head of Early says otherwise than the model does: write a forward"):
        take_head(small(Early), "sequence", 2)


def test_a_model_without_a_network_of_its_own() -> None:
    class Lone(bert_classes()[1]):  # type: ignore[misc]
        base_model_prefix = "trunk"

    with pytest.raises(SpecError, match="Lone names no network: set its base_model_prefix"):
        take_head(small(Lone), "sequence", 2)


def test_labels_that_the_weights_have_no_rows_for() -> None:
    with pytest.raises(SpecError, match=r"has 2 labels, its config\.json names 3: name all in id2label"):
        take_head(small(bert_classes()[1]), "sequence", 3)
