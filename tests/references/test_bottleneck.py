"""CifarBottleneck and ImageNetBottleneck against their formulas, the weights taken by position."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from .bottleneck import BottleneckUnit, CifarBottleneck, ImageNetBottleneck
from .by_position import Formula, Reader, check
from .cifar_basic import Placement

POST, BN_AFTER_ADD, RELU_BEFORE_ADD, RELU_ONLY_PRE, PRE = Placement


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def middle(r: Reader, p: Tensor, stride: int = 1) -> Tensor:
    """The three convolutions of a branch, the stride in the first, with what stands between them."""
    return r.conv(r.bnr(r.conv(r.bnr(r.conv(p, stride)))))


INNER: dict[Placement, Formula] = {
    POST: lambda r, x: (x + r.bn(middle(r, x))).relu(),
    BN_AFTER_ADD: lambda r, x: r.bnr(x + middle(r, x)),
    RELU_BEFORE_ADD: lambda r, x: x + r.bnr(middle(r, x)),
    RELU_ONLY_PRE: lambda r, x: x + r.bn(middle(r, x.relu())),
    PRE: lambda r, x: x + middle(r, r.bnr(x)),
}


def projection_pre(r: Reader, x: Tensor, stride: int) -> Tensor:
    p = r.bnr(x)
    return middle(r, p, stride) + r.conv(p, stride)


def projection(placement: Placement, stride: int) -> Formula:
    """The unit where the shape changes."""
    formulas: dict[Placement, Formula] = {
        POST: lambda r, x: (r.bn(middle(r, x, stride)) + r.bn(r.conv(x, stride))).relu(),
        BN_AFTER_ADD: lambda r, x: r.bnr(middle(r, x, stride) + r.conv(x, stride)),
        RELU_BEFORE_ADD: lambda r, x: r.bnr(middle(r, x, stride)) + r.bnr(r.conv(x, stride)),
        RELU_ONLY_PRE: lambda r, x: r.bn(middle(r, x.relu(), stride)) + r.bn(r.conv(x.relu(), stride)),
        PRE: lambda r, x: projection_pre(r, x, stride),
    }
    return formulas[placement]


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
def test_cifar_network(placement: Placement) -> None:
    def network(r: Reader, x: Tensor) -> Tensor:
        x = STEM[placement](r, x)
        for stride in (1, 2, 2):
            x = projection(placement, stride)(r, x)
            x = INNER[placement](r, x)
        return HEAD[placement](r, x)

    check(CifarBottleneck(2, placement=placement), 3, network)


def test_stride_in_the_3x3() -> None:
    def unit(r: Reader, x: Tensor) -> Tensor:
        p = r.bnr(x)
        return r.conv(r.bnr(r.conv(r.bnr(r.conv(p)), 2))) + r.conv(p, 2)

    check(BottleneckUnit(4, 8, 2, PRE, stride_in_1x1=False), 4, unit)


@pytest.mark.parametrize("placement", [POST, BN_AFTER_ADD, PRE])
def test_imagenet_network(placement: Placement) -> None:
    def network(r: Reader, x: Tensor) -> Tensor:
        x = max_pool2d(r.bnr(r.conv(x, 2)), 3, stride=2, padding=1)
        x = middle(r, x) + r.conv(x) if placement is PRE else projection(placement, 1)(r, x)
        x = INNER[placement](r, x)
        for _ in range(3):
            x = projection(placement, 2)(r, x)
        return HEAD[placement](r, x)

    check(ImageNetBottleneck((2, 1, 1, 1), placement, classes=7), 3, network, size=32)


def test_imagenet_has_the_three_published_placements_only() -> None:
    with pytest.raises(ValueError, match="RELU_ONLY_PRE"):
        ImageNetBottleneck((1, 1, 1, 1), RELU_ONLY_PRE)
