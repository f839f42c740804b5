"""The references against the published parameter counts and multiply-accumulates."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from .bottleneck import CifarBottleneck, ImageNetBottleneck
from .cifar_basic import CifarBasic, Conv1x1, Dropout, Gate, Identity, Nothing, Placement, Scale, Shortcut

POST, PRE = Placement.POST, Placement.PRE


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("build", "count"),
    [
        pytest.param(lambda: CifarBasic(18, placement=POST), 1_727_962, id="110 original"),
        pytest.param(lambda: CifarBasic(18, placement=PRE), 1_727_962, id="110 pre-activation"),
        pytest.param(lambda: CifarBottleneck(18), 1_703_258, id="164 pre-activation"),
        pytest.param(lambda: CifarBottleneck(18, 100), 1_726_388, id="164 pre-activation CIFAR-100"),
        pytest.param(lambda: CifarBottleneck(111), 10_327_706, id="1001 pre-activation"),
        pytest.param(lambda: CifarBottleneck(111, 100), 10_350_836, id="1001 pre-activation CIFAR-100"),
        pytest.param(lambda: CifarBottleneck(18, placement=POST), 1_704_154, id="164 original"),
        pytest.param(lambda: CifarBottleneck(111, placement=POST), 10_328_602, id="1001 original"),
        pytest.param(lambda: ImageNetBottleneck((3, 8, 36, 3)), 60_185_128, id="152 pre-activation"),
        pytest.param(lambda: ImageNetBottleneck((3, 24, 36, 3)), 64_666_152, id="200 pre-activation"),
        pytest.param(lambda: ImageNetBottleneck((3, 8, 36, 3), POST), 60_192_808, id="152 original"),
        pytest.param(lambda: ImageNetBottleneck((3, 24, 36, 3), POST), 64_673_832, id="200 original"),
    ],
)
def test_published_parameter_counts(build: Callable[[], nn.Module], count: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build().parameters()) == count


@pytest.mark.parametrize(
    ("shortcut", "one_layer", "extra"),
    [
        (Scale(0.5, 0.5), False, 0),
        (Dropout(0.5), False, 0),
        (Nothing(), False, 0),
        (Identity(), True, 0),
        (Gate(bias=-6.0, exclusive=True), False, 18 * sum(c * c + c for c in (16, 32, 64))),
        (
            Conv1x1(),
            False,
            18 * 16**2 + 16 * 32 + 17 * 32**2 + 32 * 64 + 17 * 64**2 + 18 * 2 * (16 + 32 + 64),
        ),
    ],
)
def test_parameters_a_shortcut_adds_to_110(shortcut: Shortcut, one_layer: bool, extra: int) -> None:
    with torch.device("meta"):
        network = CifarBasic(18, shortcut=shortcut, one_layer=one_layer)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_727_962 + extra
    assert len(network.units) == (108 if one_layer else 54)


def macs(network: nn.Module, size: int) -> int:
    """Multiply-accumulates of the convolutions and the linear layers for one image, counted with hooks."""
    counts: list[int] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, Tensor)
        counts.append(output.numel() * weight[0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, size, size))
    return sum(counts)


def test_published_macs_164() -> None:
    assert macs(CifarBottleneck(18, stride_in_1x1=True), 32) == 244_500_992
    assert macs(CifarBottleneck(18, stride_in_1x1=False), 32) == 247_646_720


@pytest.mark.slow
def test_published_macs_152() -> None:
    with torch.device("meta"):
        assert round(macs(ImageNetBottleneck(stride_in_1x1=True), 224) / 1e9, 3) == 11.282
        assert round(macs(ImageNetBottleneck(stride_in_1x1=False), 224) / 1e9, 3) == 11.514
