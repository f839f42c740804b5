"""Gradients that carry their power of ten: sums and stacks against plain tensors, and far outside the range of floats."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from resdsl.analysis.waves import SMALL, Stack, Wave, back, energy


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def full(stack: Stack, count: int) -> Tensor:
    rows = stack.rows.new_zeros((count, *stack.rows.shape[1:]))
    rows[stack.first : stack.first + len(stack.rows)] = stack.rows * 10**stack.log10
    return rows


def test_a_wave_is_its_direction_and_its_size() -> None:
    x = drawn(3, 4)
    wave = Wave.of(x, 2.5)
    assert energy(wave.tensor) == pytest.approx(1)
    torch.testing.assert_close(wave.tensor * 10 ** (wave.log10 - 2.5), x)


def test_waves_add_up() -> None:
    x, y = drawn(3, 4), drawn(3, 4, seed=1)
    found = Wave.of(x, 300).plus(Wave.of(y, 299))
    torch.testing.assert_close(found.tensor * 10 ** (found.log10 - 300), x + y / 10)
    far = Wave.of(x.float(), 5000).plus(Wave.of(y.float(), 4000))
    torch.testing.assert_close(far.tensor, (x / x.norm()).float())
    assert far.log10 == pytest.approx(5000 + math.log10(float(x.norm())), rel=1e-9)


def test_zero_waves() -> None:
    zero, wave = Wave.of(torch.zeros(3, 4, dtype=torch.float64)), Wave.of(drawn(3, 4), 7)
    assert zero.log10 == -math.inf
    assert zero.plus(zero).log10 == -math.inf
    for found in (zero.plus(wave), wave.plus(zero)):
        torch.testing.assert_close(found.tensor, wave.tensor)
        assert found.log10 == pytest.approx(wave.log10)
    assert Wave.of(drawn(3, 4)).plus(Wave.of(-drawn(3, 4))).log10 == -math.inf


def test_float32_energy_is_summed_in_float64() -> None:
    x = torch.full((10_000_000,), 1e-25, dtype=torch.float32)  # the square of each is below float32's least number
    assert energy(x) == pytest.approx(1e-43, rel=1e-6)


def test_stacks_add_up_by_length() -> None:
    first, second = drawn(3, 2, 5), drawn(2, 2, 5, seed=1)
    found = Stack(first, 1, 10.0).plus(Stack(second, 3, 9.0))
    expected = torch.zeros(5, 2, 5, dtype=torch.float64)
    expected[1:4] += first
    expected[3:5] += second / 10
    torch.testing.assert_close(full(found, 5) / 1e10, expected)
    energies = expected.square().sum(dim=(1, 2))
    torch.testing.assert_close(torch.from_numpy(found.shares), (energies / energies.sum())[: len(found.shares)])


def test_a_branch_makes_paths_longer() -> None:
    found = Stack(drawn(2, 1, 3), 4).longer()
    assert (found.first, len(found.shares)) == (5, 7)


def test_lengths_without_energy_are_left_out_and_counted() -> None:
    rows = torch.ones(5, 1, 2, dtype=torch.float64)
    rows[0], rows[4] = 1e-6, 1e-5  # shares of the energy of 1e-12 / 3 and 1e-10 / 3
    found = Stack.of(rows, 2, 0.0, 1e-7)
    assert (found.first, len(found.rows)) == (3, 3)
    assert found.rest == pytest.approx(1e-7 + (1e-12 + 1e-10) / 3)
    assert SMALL > 1e-10 / 3


def test_inner_lengths_stay_where_they_are() -> None:
    rows = torch.zeros(3, 1, 2)
    rows[0] = rows[2] = 1
    assert list(Stack.of(rows, 0, 0.0, 0.0).shares) == [0.5, 0, 0.5]


@pytest.mark.parametrize("power", [-120, -30, 30, 120])
def test_a_stack_leaves_the_range_of_float32(power: int) -> None:
    stack = Stack(drawn(2, 3, 4).float())
    step = 10 ** (power / 10)
    for _ in range(10):
        stack = Stack.of(stack.rows * step, stack.first, stack.log10, stack.rest)
    begin = Stack(drawn(2, 3, 4).float())
    assert stack.shares == pytest.approx(begin.shares, rel=1e-5)
    assert stack.log10 + math.log10(stack.rows.norm()) == pytest.approx(power + math.log10(begin.rows.norm()), abs=1e-4)


@pytest.mark.parametrize("gain", [1e-2, 1e2])
def test_a_stack_stays_in_range_where_one_side_is_nothing(gain: float) -> None:
    """A unit without shortcut hands back what its branch does: 60 of them may still leave float32 behind."""
    stack = Stack(drawn(1, 3, 4).float())
    nothing = Stack(torch.zeros(1, 3, 4), 0, -math.inf)
    for step in range(60):
        branch = Stack(stack.rows * gain, stack.first, stack.log10, stack.rest).longer()
        stack = nothing.plus(branch) if step % 2 else branch.plus(nothing)
    assert stack.shares[-1] == pytest.approx(1)
    assert len(stack.shares) == 61
    size = stack.log10 + math.log10(stack.rows.norm())
    assert size == pytest.approx(60 * math.log10(gain) + math.log10(drawn(1, 3, 4).norm()), abs=1e-3)


def test_a_stack_of_nothing_has_no_shares() -> None:
    nothing = Stack.of(torch.zeros(3, 1, 2), 0, 0.0, 0.0)
    assert nothing.log10 == -math.inf
    assert not nothing.plus(nothing).shares.any()


def test_back_is_the_transposed_jacobian_of_each_row() -> None:
    source = drawn(1, 4).requires_grad_()
    matrix = drawn(3, 4, seed=1)
    rows = drawn(5, 1, 3, seed=2)
    torch.testing.assert_close(back(source @ matrix.T, source, rows), rows @ matrix)


def test_back_through_nothing_and_through_what_does_not_depend() -> None:
    source = drawn(1, 4).requires_grad_()
    rows = drawn(2, 1, 4, seed=2)
    assert back(source, source, rows) is rows
    assert not back(torch.ones(1, 4), source, rows).any()
    assert not back(drawn(1, 4, seed=3).requires_grad_() * 2, source, rows).any()
