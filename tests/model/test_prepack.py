import pytest
import torch
from torch import nn

from pipelines.model.prepack import PrepackedLinear, can_prepack, prepack


@pytest.mark.parametrize("bias", [True, False])
def test_prepacked_layers_compute_what_linear_layers_do(bias: bool) -> None:
    assert can_prepack()
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(16, 24, bias=bias), nn.ModuleDict({"inner": nn.Linear(24, 8)})["inner"], nn.Tanh()
    )
    network = network.to(torch.bfloat16).requires_grad_(False)
    inputs = [torch.randn(shape, dtype=torch.bfloat16) for shape in ((1, 16), (3, 7, 16), (4100, 16))]
    expected = [network(x) for x in inputs]
    prepack(network)
    assert [type(layer) for layer in network] == [PrepackedLinear, PrepackedLinear, nn.Tanh]
    with torch.inference_mode():
        for x, y in zip(inputs, expected, strict=True):
            torch.testing.assert_close(network(x), y, atol=0.02, rtol=0.02)


def test_layers_within_layers_are_found() -> None:
    network = nn.ModuleDict({"outer": nn.Sequential(nn.Linear(4, 4))}).to(torch.bfloat16).requires_grad_(False)
    prepack(network)
    assert type(network["outer"][0]) is PrepackedLinear
