"""The optimizers of `retrain` against those of torch."""

from __future__ import annotations

import sys

import pytest
import torch

from nasrec_opt.retrain._steps import Adagrad, Adam

SHAPES = ((4, 3), (), (5,), (2, 1, 3))


def weights_of(seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.mark.parametrize("name", ["adam", "adagrad"])
def test_weights_and_moments_are_those_of_torchs_classes(name, monkeypatch):
    """Bit for bit, with weights that some steps leave out, and from saved moments."""
    own, twins = weights_of(0), weights_of(0)
    if name == "adam":
        theirs, make = torch.optim.Adam(twins), lambda: Adam(own)
    else:
        theirs, make = torch.optim.Adagrad(twins, eps=1e-2), lambda: Adagrad(own, 1e-2)
    ours = make()
    for number in range(8):
        gradients = weights_of(number + 1)
        for place, (mine, its, gradient) in enumerate(zip(own, twins, gradients, strict=True)):
            is_read = (number + place) % 3 and place != 3  # the last one is never read
            mine.grad = its.grad = gradient.detach() * 10.0 ** (number - 5) if is_read else None
        theirs.param_groups[0]["lr"] = rate = 1e-3 * (number + 1)
        theirs.step()
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "torch._dynamo", None)  # whose import takes a second
            if number == 4:
                saved = ours.state_dict()
                ours = make()
                ours.load_state_dict({**saved, "weights.0": own[0]})
            ours.step(rate)
    assert all(torch.equal(mine, its) for mine, its in zip(own, twins, strict=True))
    expected = {
        f"{name}.{i}.{key}": value
        for i, moments in theirs.state_dict()["state"].items()
        for key, value in moments.items()
    }
    found = ours.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
