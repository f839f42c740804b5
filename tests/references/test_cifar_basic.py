"""CifarBasic against its units and small networks written out, the weights taken by position."""

import pytest
import torch
from torch import Tensor

from .by_position import Formula, Reader, check
from .cifar_basic import (
    BasicUnit,
    CifarBasic,
    Conv1x1,
    Dropout,
    Gate,
    Identity,
    Nothing,
    Placement,
    Scale,
    Shortcut,
)

POST, BN_AFTER_ADD, RELU_BEFORE_ADD, RELU_ONLY_PRE, PRE = Placement


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pad(x: Tensor) -> Tensor:
    """Option A from c to 2c channels at stride 2."""
    kept = x[:, :, ::2, ::2]
    return torch.cat([kept, torch.zeros_like(kept)], dim=1)


def basic(c_out: int, stride: int, placement: Placement, kind: Shortcut, first: bool = False) -> BasicUnit:
    """A unit of two 3x3 convolutions that takes 4 channels."""
    return BasicUnit(4, c_out, stride, placement, kind, one_layer=False, first=first)


INNER: dict[Placement, Formula] = {
    POST: lambda r, x: (x + r.bn(r.conv(r.bnr(r.conv(x))))).relu(),
    BN_AFTER_ADD: lambda r, x: r.bnr(x + r.conv(r.bnr(r.conv(x)))),
    RELU_BEFORE_ADD: lambda r, x: x + r.bnr(r.conv(r.bnr(r.conv(x)))),
    RELU_ONLY_PRE: lambda r, x: x + r.bn(r.conv(r.bnr(r.conv(x.relu())))),
    PRE: lambda r, x: x + r.conv(r.bnr(r.conv(r.bnr(x)))),
}


def first_pre(r: Reader, x: Tensor) -> Tensor:
    p = r.bnr(x)
    return p + r.conv(r.bnr(r.conv(p)))


FIRST: dict[Placement, Formula] = {
    POST: INNER[POST],
    BN_AFTER_ADD: INNER[BN_AFTER_ADD],
    RELU_BEFORE_ADD: INNER[RELU_BEFORE_ADD],
    RELU_ONLY_PRE: lambda r, x: x.relu() + r.bn(r.conv(r.bnr(r.conv(x.relu())))),
    PRE: first_pre,
}


def strided_pre(r: Reader, x: Tensor) -> Tensor:
    p = r.bnr(x)
    return pad(p) + r.conv(r.bnr(r.conv(p, 2)))


STRIDED: dict[Placement, Formula] = {
    POST: lambda r, x: (pad(x) + r.bn(r.conv(r.bnr(r.conv(x, 2))))).relu(),
    BN_AFTER_ADD: lambda r, x: r.bnr(pad(x) + r.conv(r.bnr(r.conv(x, 2)))),
    RELU_BEFORE_ADD: lambda r, x: pad(x) + r.bnr(r.conv(r.bnr(r.conv(x, 2)))),
    RELU_ONLY_PRE: lambda r, x: pad(x.relu()) + r.bn(r.conv(r.bnr(r.conv(x.relu(), 2)))),
    PRE: strided_pre,
}
STEM: dict[Placement, Formula] = {
    POST: lambda r, x: r.bnr(r.conv(x)),
    BN_AFTER_ADD: lambda r, x: r.bnr(r.conv(x)),
    RELU_BEFORE_ADD: lambda r, x: r.bnr(r.conv(x)),
    RELU_ONLY_PRE: lambda r, x: r.bn(r.conv(x)),
    PRE: lambda r, x: r.conv(x),
}
HEAD: dict[Placement, Formula] = {
    POST: lambda r, x: r.head(x),
    BN_AFTER_ADD: lambda r, x: r.head(x),
    RELU_BEFORE_ADD: lambda r, x: r.head(x),
    RELU_ONLY_PRE: lambda r, x: r.head(x.relu()),
    PRE: lambda r, x: r.head(r.bnr(x)),
}


@pytest.mark.parametrize("placement", Placement)
def test_basic_units_of_figure_4(placement: Placement) -> None:
    check(basic(4, 1, placement, Identity()), 4, INNER[placement])
    check(basic(4, 1, placement, Identity(), first=True), 4, FIRST[placement])
    check(basic(8, 2, placement, Identity()), 4, STRIDED[placement])


@pytest.mark.parametrize("placement", Placement)
def test_basic_network(placement: Placement) -> None:
    def network(r: Reader, x: Tensor) -> Tensor:
        x = STEM[placement](r, x)
        for unit in (FIRST, INNER, STRIDED, INNER, STRIDED, INNER):
            x = unit[placement](r, x)
        return HEAD[placement](r, x)

    check(CifarBasic(2, placement=placement), 3, network)


def test_one_layer_network() -> None:
    def network(r: Reader, x: Tensor) -> Tensor:
        x = r.conv(x)
        p = r.bnr(x)
        x = p + r.conv(p)
        x = x + r.conv(r.bnr(x))
        for _ in range(2):
            p = r.bnr(x)
            x = pad(p) + r.conv(p, 2)
            x = x + r.conv(r.bnr(x))
        return r.head(r.bnr(x))

    check(CifarBasic(1, placement=PRE, one_layer=True), 3, network)
    unit = BasicUnit(4, 4, 1, POST, Identity(), one_layer=True, first=False)
    check(unit, 4, lambda r, x: (x + r.bn(r.conv(x))).relu())


def test_nothing_scale_and_dropout() -> None:
    check(basic(4, 1, POST, Nothing()), 4, lambda r, x: r.bn(r.conv(r.bnr(r.conv(x)))).relu())
    check(basic(8, 2, PRE, Nothing()), 4, lambda r, x: r.conv(r.bnr(r.conv(r.bnr(x), 2))))
    check(
        basic(4, 1, PRE, Scale(0.5, 0.25)),
        4,
        lambda r, x: 0.5 * x + 0.25 * r.conv(r.bnr(r.conv(r.bnr(x)))),
    )
    check(
        basic(8, 2, POST, Scale(0.5, 0.25)),
        4,
        lambda r, x: (0.5 * pad(x) + 0.25 * r.bn(r.conv(r.bnr(r.conv(x, 2))))).relu(),
    )
    check(basic(8, 2, POST, Dropout(0.5)), 4, STRIDED[POST])


def test_dropout_in_training_is_on_the_shortcut_alone() -> None:
    dropping, plain = basic(8, 2, POST, Dropout(1.0)), basic(8, 2, POST, Nothing())
    plain.load_state_dict(dropping.state_dict())
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(dropping(x), plain(x))


@pytest.mark.parametrize("exclusive", [True, False])
def test_gate(exclusive: bool) -> None:
    def keeps(r: Reader, x: Tensor) -> Tensor:
        branch = r.bn(r.conv(r.bnr(r.conv(x))))
        g = r.gate(x)
        return ((1 - g) * x + (g if exclusive else 1) * branch).relu()

    def changes(r: Reader, x: Tensor) -> Tensor:
        p = r.bnr(x)
        branch = r.conv(r.bnr(r.conv(p, 2)))
        g = r.gate(pad(p))
        return (1 - g) * pad(p) + (g if exclusive else 1) * branch

    unit = basic(4, 1, POST, Gate(-6.0, exclusive))
    assert unit.gate.bias is not None
    assert unit.gate.bias.tolist() == [-6.0] * 4
    check(unit, 4, keeps)
    check(basic(8, 2, PRE, Gate(-6.0, exclusive)), 4, changes)


CONV1X1: dict[Placement, Formula] = {
    POST: lambda r, x: (r.bn(r.conv(r.bnr(r.conv(x)))) + r.bn(r.conv(x))).relu(),
    BN_AFTER_ADD: lambda r, x: r.bnr(r.conv(r.bnr(r.conv(x))) + r.conv(x)),
    RELU_BEFORE_ADD: lambda r, x: r.bnr(r.conv(r.bnr(r.conv(x)))) + r.bnr(r.conv(x)),
    RELU_ONLY_PRE: lambda r, x: r.bn(r.conv(r.bnr(r.conv(x.relu())))) + r.bn(r.conv(x)),
    PRE: lambda r, x: r.conv(r.bnr(r.conv(r.bnr(x)))) + r.conv(x),
}


@pytest.mark.parametrize("placement", Placement)
def test_conv1x1_shortcut(placement: Placement) -> None:
    check(basic(4, 1, placement, Conv1x1()), 4, CONV1X1[placement])


def test_conv1x1_shortcut_where_the_branch_is_shared() -> None:
    def shared(stride: int) -> Formula:
        def formula(r: Reader, x: Tensor) -> Tensor:
            p = r.bnr(x)
            return r.conv(r.bnr(r.conv(p, stride))) + r.conv(p, stride)

        return formula

    check(basic(4, 1, PRE, Conv1x1(), first=True), 4, shared(1))
    check(basic(8, 2, PRE, Conv1x1()), 4, shared(2))
