"""A network in parts: put together again they are the network."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from resdsl.analysis.parts import Cut, Part, Span, leaves, parts_of
from resdsl.diagnostics import SpecError
from resdsl.network import operators as op
from resdsl.network.initial import initial_weights
from resdsl.network.network import Network, varies
from resdsl.network.types import Image, Vector
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from tests.analysis.by_parts import walked
from tests.networks import Case, all_networks, is_big
from tests.passes.random_specs import texts


def shortened(network: Network) -> Network:
    """At most two units of each form, or one where they are large: every kind of part, and not the depth."""
    most = 1 if is_big(network) else 2
    return replace(network, stages=tuple(tuple(_short(each, most) for each in stage) for stage in network.stages))


def _short(element: op.Element, most: int) -> op.Element:
    if not isinstance(element, op.Units):
        return element
    return op.Units(
        tuple(run if varies(run.unit) else replace(run, count=min(run.count, most)) for run in element.runs)
    )


def sample(network: Network, count: int = 2) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    match network.input:
        case Image(channels, height, width):
            return torch.randn(count, channels, height, width, generator=draw)
        case Vector(features):
            return torch.randn(count, features, generator=draw)


def parts_and_module(network: Network) -> tuple[tuple[Part, ...], torch.nn.Module]:
    module = torch_module(network, initial_weights(network, 3))
    return parts_of(network, module), module


@torch.no_grad()
def check(network: Network) -> None:
    """To the bit, in training, where dropout draws and statistics move, and in evaluation after that."""
    parts, apart = parts_and_module(network)
    whole = copy.deepcopy(apart)
    x = sample(network)
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):
            whole.train(training)
            apart.train(training)
            torch.manual_seed(5)
            expected = whole(x)
            torch.manual_seed(5)
            torch.testing.assert_close(walked(parts, x), expected, rtol=0, atol=0, equal_nan=True)
    for (name, ours), theirs in zip(apart.state_dict().items(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True, msg=f"{name} differs")


SEEN: set[tuple[op.Chain, ...]] = set()
"""Chains of the networks that were checked: many differ in their depth alone."""


@all_networks(runs_them=True)
def test_parts_of_the_networks_of_specs(case: Case) -> None:
    network = shortened(case.small())
    chains = tuple(chain for _, chain in network.sections())
    if chains not in SEEN:
        check(network)
        SEEN.add(chains)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["preact1001", "resnet1001"])
def test_a_thousand_layers(name: str) -> None:
    network = build("std/resnet164", name, {"image": (3, 8, 8)})
    parts, _ = parts_and_module(network)
    assert len(list(leaves(parts))) == 333
    check(network)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(text=texts())
def test_parts_of_random_networks(text: str) -> None:
    """Nested units, gates on branches, dropout on both sides, concat with units, numbers that differ between copies."""
    try:
        network = build(text)
    except SpecError:  # some draws are no networks
        return
    check(network)


NESTED = """resnet 1
unit inner(width) { branch linear(width) -> dropout(0.5) shortcut scale(0.5) after relu }
unit outer(width) { branch relu -> 2 * inner(width) -> linear(width) shortcut dropout(0.2) after tanh }
unit gated(width) { branch 2 * inner(width) shortcut gate(-1, branch = true) }
unit joined(width) { branch concat(inner(width), linear(width)) -> linear(width) shortcut identity }
network n { input 6 stem linear(8) stage 2 * outer(8) -> gated(8) stage joined(8) -> relu -> inner(8) head linear(3) }
"""


def test_which_units_are_looked_at() -> None:
    """Those in branches one by one, but not behind a gate on the branch nor in concat."""
    parts, _ = parts_and_module(build(NESTED))
    assert [cut.name for cut in leaves(parts)] == [
        *("stage1.0.inner.0", "stage1.0.inner.1", "stage1.1.inner.0", "stage1.1.inner.1", "stage1.2"),
        *("stage2_joined.0", "stage2_inner.0"),
    ]
    check(build(NESTED))


def test_what_meets_is_what_is_added() -> None:
    """A gate on the branch multiplies it; what follows the addition is not in it."""
    unit = "unit u { branch linear(4) shortcut gate(-1, branch = true) after relu }"
    parts, module = parts_and_module(build(f"resnet 1\n{unit}\nnetwork n {{ input 4 stage u }}"))
    (cut,) = parts
    assert isinstance(cut, Cut)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    state = module.state_dict()
    gate = torch.sigmoid(x @ state["stage1.0.shortcut_gate.weight"].T - 1)
    shortcut, branch = cut.meets(x)
    assert shortcut is not None
    torch.testing.assert_close(shortcut, (1 - gate) * x)
    torch.testing.assert_close(branch, gate * (x @ state["stage1.0.linear.weight"].T + state["stage1.0.linear.bias"]))
    torch.testing.assert_close(cut.after(-shortcut), (-shortcut).relu())


def test_a_unit_without_shortcut_has_its_branch_alone() -> None:
    parts, _ = parts_and_module(build("std/resnet110", "plain110", {"n": 1, "image": (3, 8, 8)}))
    cut = next(leaves(parts))
    assert cut.meets(torch.zeros(1, 16, 8, 8))[0] is None


def test_order_and_sections() -> None:
    parts, _ = parts_and_module(build("std/resnet110", "resnet110", {"n": 2}))
    assert [type(part) for part in parts] == [Span, *[Cut] * 6, Span]
    assert [cut.stage for cut in leaves(parts)] == ["stage1"] * 2 + ["stage2"] * 2 + ["stage3"] * 2
