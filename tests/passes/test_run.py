"""Running passes: levels and names, what is kept of a network, and what a second run finds to do."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from weakref import ref

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate
from resdsl.network.network import distinct_units
from resdsl.network.operators import BatchNorm, Conv, Removed, Unit, Units
from resdsl.network.tensors import network_tensors
from resdsl.passes import run as running
from resdsl.passes.draft import Draft
from resdsl.passes.run import RUN, fold, run_passes
from resdsl.passes.table import DEFAULT_LEVEL, LEVELS, PASSES, named_passes, passes_of
from resdsl.passes.tally import Tally
from tests.passes.trained import EVERY, inputs, network_of, run, trained

PREACT = (
    "stem conv(3x3, 8) stage 4 * u stage 3 * u(16) first(stride = 2) head bn -> relu -> avgpool -> linear(5)",
    "unit u(width = 8, stride = 1) { placement pre branch conv(3x3, width, stride) -> dropout(0.2) -> conv(3x3, width)"
    " shortcut identity projection conv(1x1) }",
)


def convolution(unit: Unit) -> Conv:
    """The branch's last."""
    last = unit.branch[-1]
    assert isinstance(last, Conv)
    return last


def test_the_table_and_what_runs_are_the_same_passes() -> None:
    assert list(PASSES) == list(RUN)
    assert all(each.name == name and each.summary for name, each in PASSES.items())


def test_levels() -> None:
    assert passes_of(0) == ()
    assert passes_of(DEFAULT_LEVEL) == EVERY
    for level in LEVELS[1:]:
        assert set(passes_of(level - 1)) < set(passes_of(level))
    with pytest.raises(SpecError, match="there is no level 3"):
        passes_of(3)


def test_names_run_in_the_order_of_the_table() -> None:
    assert [each.name for each in named_passes(["fold-batchnorm", "remove-identities"])] == [
        "remove-identities",
        "fold-batchnorm",
    ]
    with pytest.raises(SpecError, match="there is no pass 'fold-batchnrom'") as raised:
        named_passes(["fold-batchnrom"])
    assert "fold-batchnorm" in raised.value.diagnostics[0].help


def test_no_pass_no_step() -> None:
    network = network_of(*PREACT)
    assert run_passes(network, trained(network), ()) == []


def test_a_pass_that_loses_a_tensor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(draft: Draft) -> Tally:
        del draft.weights["stem_conv.weight"]
        return Tally()

    monkeypatch.setitem(running.RUN, "remove-dead", lose)
    network = network_of(*PREACT)
    with pytest.raises(AssertionError, match=r"remove-dead left nothing for stem_conv\.weight"):
        run_passes(network, trained(network), EVERY)


def test_folding_leaves_what_the_last_pass_left() -> None:
    network = network_of(*PREACT)
    weights = trained(network)
    steps = run_passes(network, weights, EVERY)
    found, numbers, done = fold(network, weights, EVERY)
    assert found == steps[-1].network
    assert numbers.keys() == steps[-1].weights.keys()
    assert all(np.array_equal(array, steps[-1].weights[name]) for name, array in numbers.items())
    assert [(each.name, each.tally.changed) for each in done] == [(step.name, step.tally.changed) for step in steps]
    assert fold(network, weights, ()) == (network, weights, ())


def test_a_number_for_an_array_of_no_axis_is_taken() -> None:
    """Numpy's arithmetic makes such of arrays without axes, as a learned scale is."""
    branch = "stage u head avgpool -> linear(5)", "unit u { branch conv(3x3, 4) shortcut scale(0.5, learn = true) }"
    network = network_of(*branch)
    weights = {name: array[()] if array.ndim == 0 else array for name, array in trained(network).items()}
    assert any(not isinstance(array, np.ndarray) for array in weights.values())
    assert fold(network, weights, EVERY)[1].keys() == {tensor.name for tensor in network_tensors(network)}


def test_folding_frees_each_array_that_a_later_pass_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So weights and one more copy of them are the most that is held, however many passes there are."""
    alive: list[int] = []

    def double(draft: Draft) -> Tally:
        before = [ref(array) for array in draft.weights.values()]
        for name in draft.weights:
            draft.weights[name] = draft.weights[name] * 2
        alive.append(sum(each() is not None for each in before))
        return Tally(("everything",))

    for each in PASSES:
        monkeypatch.setitem(running.RUN, each, double)
    network = network_of(*PREACT)
    weights = trained(network)
    fold(network, weights, EVERY)
    assert alive == [len(weights)] + [0] * (len(EVERY) - 1)


def test_weights_are_not_written_into() -> None:
    network = network_of(*PREACT)
    weights = trained(network)
    for array in weights.values():
        array.flags.writeable = False
    copies = {name: array.copy() for name, array in weights.items()}
    steps = run(network, weights)
    for earlier, later in pairwise(steps):
        copies_between = {name: array.copy() for name, array in earlier.weights.items()}
        run_passes(later.network, later.weights, EVERY)
        assert all(np.array_equal(earlier.weights[name], array) for name, array in copies_between.items())
    assert list(weights) == list(copies)
    assert all(np.array_equal(weights[name], array) for name, array in copies.items())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(dtype: type[np.floating]) -> None:
    network = network_of(*PREACT)
    weights = {name: array.astype(dtype) for name, array in trained(network).items()}
    last = run_passes(network, weights, EVERY)[-1]
    assert {array.dtype for array in last.weights.values()} == {np.dtype(dtype)}
    assert all(array.flags.c_contiguous for array in last.weights.values())


def test_what_is_not_the_networks_is_left_out() -> None:
    network = network_of(*PREACT)
    weights = trained(network) | {"another": np.zeros(3)}
    assert set(run_passes(network, weights, EVERY)[0].weights) == {tensor.name for tensor in network_tensors(network)}


def test_the_same_again_gives_the_same() -> None:
    network = network_of(*PREACT)
    first, second = (run_passes(network, trained(network), EVERY) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.network == other.network
        assert list(one.weights) == list(other.weights)
        assert all(one.weights[name].tobytes() == other.weights[name].tobytes() for name in one.weights)
        assert (one.tally.changed, one.tally.kept) == (other.tally.changed, other.tally.kept)


@pytest.mark.parametrize(
    "stem",
    [
        "conv(3x3, 8) -> relu -> scale(0.5) -> relu",
        "conv(3x3, 8) -> relu -> scale(0.5, learn = true, per_channel = true) -> drop_path(0.5, rescale = false) -> relu",
        "tanh -> bn -> bn -> bn -> conv(1x1, 8)",
        "conv(3x3, 8) -> bn -> bn -> relu",
        "conv(3x3, 8, standardise = true) -> scale(0.5) -> bn",
        "conv(3x3, 8) -> scale(1) -> scale(-0.5) -> maxpool(3x3, 1) -> scale(2)",
    ],
)
def test_a_second_run_changes_nothing(stem: str) -> None:
    sections, unit = PREACT
    network = network_of(sections.replace("conv(3x3, 8)", stem, 1), unit)
    first = run(network, trained(network))[-1]
    for step in run(first.network, first.weights):
        assert step.tally.changed == ()
        assert step.network == first.network
        assert all(np.array_equal(step.weights[name], array) for name, array in first.weights.items())


def test_names_stay() -> None:
    """What is left is called what it was: only biases are new."""
    network = network_of(*PREACT)
    names = {tensor.name for tensor in network_tensors(network)}
    for step in run(network, trained(network)):
        tensors = {tensor.name: tensor.shape for tensor in network_tensors(step.network)}
        assert list(step.weights) == list(tensors)
        assert {name: array.shape for name, array in step.weights.items()} == tensors
        assert all(name.endswith(".bias") for name in set(tensors) - names)


def test_equal_copies_share_a_unit() -> None:
    """Stage 1 is four equal copies before and after; the first and the last of stage 2 read and write something else."""
    network = network_of(*PREACT)
    last = run(network, trained(network))[-1]
    assert len(distinct_units(network)) == 3
    assert len(distinct_units(last.network)) == 3
    (units,) = last.network.stages[0]
    assert isinstance(units, Units)
    assert [run.count for run in units.runs] == [4]


def test_copies_part_where_one_norm_stays() -> None:
    network = network_of(*PREACT)
    weights = trained(network)
    weights["stage1.2.bn1.weight"][0] = -1.0
    last = run(network, weights)[-1]
    (units,) = last.network.stages[0]
    assert isinstance(units, Units)
    first, before, kept, last_of_all = (run.unit for run in units.runs)
    assert first == last_of_all
    assert kept.branch[0] == BatchNorm()
    assert first.branch[0] == before.branch[0] == Removed("bn")
    assert [convolution(unit).bias for unit in (first, before)] == [True, False], "it hands its own shift on"


def test_numbers_of_copies_stay_with_their_copies() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage 3 * u head avgpool -> linear(5)",
        "unit u { branch tanh -> scale(1 + index) -> tanh -> conv(3x3, 8) shortcut scale(1 / (1 + index)) }",
    )
    run(network, trained(network))


def test_infinity_as_a_limit_folds_what_it_may() -> None:
    network = network_of(*PREACT)
    weights = trained(network)
    weights["stage1.1.bn1.bias"][2] = 100.0
    kept = [bool(run_passes(network, weights, EVERY, limit=limit)[-1].tally.kept) for limit in (32.0, inf)]
    assert kept == [True, False]


def test_float32_is_as_good_as_it_was() -> None:
    """Through 40 units, with shifts just under the limit in some channels: within 16 times the error of the network itself."""
    network = network_of(
        "stem conv(3x3, 8) stage 40 * u head bn -> relu -> avgpool -> linear(5)",
        "unit u { placement pre branch conv(3x3, 8) -> conv(3x3, 8) shortcut identity }",
    )
    weights = {name: array.astype(np.float32) for name, array in trained(network).items()}
    for unit in range(40):
        weights[f"stage1.{unit}.bn1.bias"][unit % 8] = 20.0
    x = inputs(network)
    expected = evaluate(network, weights, x)
    last = run_passes(network, weights, EVERY)[-1]
    before, after = (
        np.abs(evaluate(each, numbers, x.astype(np.float32)) - expected).max()
        for each, numbers in ((network, weights), (last.network, last.weights))
    )
    assert last.tally.kept == ()
    assert 0 < after < 16 * before
