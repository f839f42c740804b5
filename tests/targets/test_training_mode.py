"""What a network does while it is trained, as docs/language.md says: dropout, drop path, the statistics of norms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import resdsl
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from tests.networks import SPECS

BATCH, FEATURES, DRAWS = 8, 64, 400


def branch(chain: str) -> nn.Module:
    """x + chain(x) on vectors of ones, so that what the chain does to ones can be read off."""
    text = f"resnet 1\nnetwork n {{ input {FEATURES} stage u }}\nunit u {{ branch {chain} shortcut identity }}\n"
    return resdsl.load(text).double()


def draws(module: nn.Module) -> Tensor:
    """The branch's results in training mode, (DRAWS, BATCH, FEATURES), on ones."""
    torch.manual_seed(0)
    ones = torch.ones(BATCH, FEATURES, dtype=torch.float64)
    return torch.stack([module.train()(ones) - 1 for _ in range(DRAWS)])


def evaluated(module: nn.Module) -> set[float]:
    return set((module.eval()(torch.ones(BATCH, FEATURES, dtype=torch.float64)) - 1).unique().tolist())


def test_dropout_drops_elements_and_keeps_the_mean() -> None:
    module = branch("dropout(0.25)")
    seen = draws(module)
    assert sorted(seen.unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert float(seen.mean()) == pytest.approx(1, abs=0.01)
    assert float((seen == 0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert bool((seen[0] != seen[0, :1]).any()), "elements are drawn one by one"
    assert evaluated(module) == {1.0}


@pytest.mark.parametrize("per_sample", [True, False])
@pytest.mark.parametrize("rescale", [True, False])
def test_drop_path(per_sample: bool, rescale: bool) -> None:
    arguments = f"per_sample = {str(per_sample).lower()}, rescale = {str(rescale).lower()}"
    module = branch(f"scale(3) -> drop_path(0.25, {arguments})")
    seen = draws(module)
    assert set(seen.unique().tolist()) == {0.0, 3 / 0.75 if rescale else 3.0}
    assert bool((seen == seen[:, :, :1]).all()), "a sample is dropped as a whole"
    alike = bool((seen == seen[:, :1]).all())
    assert alike is not per_sample, "samples are drawn one by one, or all at once"
    # 400 draws of a batch have a standard error of 0.022.
    assert float((seen[:, :, 0] == 0).double().mean()) == pytest.approx(0.25, abs=0.07)
    assert evaluated(module) == {3.0 if rescale else 2.25}


def test_the_defaults_of_drop_path_are_per_sample_and_rescaled() -> None:
    written = branch("drop_path(0.25, per_sample = true, rescale = true)")
    assert torch.equal(draws(branch("drop_path(0.25)")), draws(written))


def test_stochastic_depth_drops_more_the_deeper_the_unit() -> None:
    module = torch_module(build(SPECS / "stochastic_depth.resnet", "stochastic110"))
    rates = [part.p for part in module.modules() if type(part).__name__ == "DropPath"]
    assert rates == [0.5 * (index + 1) / 54 for index in range(54)]
    assert rates[-1] == 0.5


@pytest.mark.parametrize(("eps", "momentum"), [(1e-5, 0.1), (1e-3, 0.01), (0.5, 1.0)])
@pytest.mark.parametrize("shape", [(7,), (7, 5, 3)])
def test_bn_normalises_with_the_batch_and_records_it(eps: float, momentum: float, shape: tuple[int, ...]) -> None:
    size = "x".join(map(str, shape))
    module = resdsl.load(f"resnet 1\nnetwork n {{ input {size} head bn({eps}, {momentum}) }}\n").double().train()
    torch.manual_seed(0)
    axes = (0, *range(2, 1 + len(shape)))
    like = (1, -1, *(1,) * (len(shape) - 1))
    recorded = {"mean": torch.zeros(7, dtype=torch.float64), "var": torch.ones(7, dtype=torch.float64)}
    for _ in range(3):
        x = 2 + 3 * torch.randn(4, *shape, dtype=torch.float64)
        mean, biased = x.mean(axes), x.var(axes, correction=0)
        expected = (x - mean.reshape(like)) / (biased.reshape(like) + eps).sqrt()
        torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)
        recorded["mean"] = (1 - momentum) * recorded["mean"] + momentum * mean
        recorded["var"] = (1 - momentum) * recorded["var"] + momentum * x.var(axes, correction=1)
        torch.testing.assert_close(module.head_bn.running_mean, recorded["mean"], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(module.head_bn.running_var, recorded["var"], rtol=1e-12, atol=1e-12)
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    x = torch.randn(4, *shape, dtype=torch.float64)
    expected = (x - recorded["mean"].reshape(like)) / (recorded["var"].reshape(like) + eps).sqrt()
    torch.testing.assert_close(module.eval()(x), expected, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())


@pytest.mark.parametrize("norm", ["groupnorm(2)", "layernorm", "conv(1x1, 4, standardise = true)", "se(2)"])
def test_what_has_no_statistics_does_the_same_in_training(norm: str) -> None:
    module = resdsl.load(f"resnet 1\nnetwork n {{ input 4x6x6 head {norm} }}\n").double()
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    assert torch.equal(module.train()(x), module.eval()(x))
    assert dict(module.named_buffers()) == {}
