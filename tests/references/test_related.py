"""The networks of related.py against formulas, the weights taken by position, and against counts."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, dropout, linear, max_pool2d

from .by_position import Reader, check
from .cifar_basic import CifarBasic, Conv1x1, Nothing, Placement
from .related import (
    BasicImageNet,
    BasicOptions,
    BranchScale,
    DropBranch,
    Highway,
    NShortcut,
    Option,
    PlainCifar,
    Position,
    ScaleKind,
    SEBasic,
    SkipInit,
    StochasticDepth,
    Wide,
)

PRE = Placement.PRE


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Taker(Reader):
    """A Reader of what these networks have besides."""

    def take(self) -> Tensor:
        return self.tensors.pop(0)

    def conv_bias(self, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self.take(), self.take()
        return conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)

    def linear(self, x: Tensor) -> Tensor:
        return linear(x, self.take(), self.take())


class TrainingTaker(Taker):
    """A Taker whose batch norms are as in training: of the batch, the variance the biased one."""

    def bn(self, x: Tensor) -> Tensor:
        weight, bias, _, _ = (self.take()[:, None, None] for _ in range(4))
        mean, var = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def check_taken(module: nn.Module, formula: Callable[[Taker, Tensor], Tensor], size: int = 8) -> None:
    """`check`, the formula reading with a Taker."""

    def with_taker(reader: Reader, x: Tensor) -> Tensor:
        taker = Taker(module)
        result = formula(taker, x)
        reader.tensors[:] = taker.tensors
        return result

    check(module, 3, with_taker, size)


def close(actual: Tensor, expected: Tensor) -> None:
    assert actual.dtype == torch.float64
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def carry(source: nn.Module, target: nn.Module) -> None:
    """Carries weights and statistics, but no scales, over by position."""
    skipped = ("num_batches_tracked", ".scale")
    values = [v for k, v in source.state_dict().items() if not k.endswith(skipped)]
    places = [v for k, v in target.state_dict().items() if not k.endswith(skipped)]
    for place, value in zip(places, values, strict=True):
        assert place.shape == value.shape
        place.copy_(value)


def pad(x: Tensor) -> Tensor:
    """Option A from c to 2c channels at stride 2."""
    kept = x[:, :, ::2, ::2]
    return torch.cat([kept, torch.zeros_like(kept)], dim=1)


def count(build: Callable[[], nn.Module]) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build().parameters())


# Parameters


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        pytest.param(lambda: BasicOptions(3, "A", pre=False), 269_722, id="20 A"),
        pytest.param(lambda: BasicOptions(3, "B", pre=False), 272_474, id="20 B"),
        pytest.param(lambda: BasicOptions(9, "A", pre=False), 853_018, id="56 A"),
        pytest.param(lambda: BasicOptions(18, "A", pre=False), 1_727_962, id="110 A"),
        pytest.param(lambda: BasicOptions(18, "A", pre=True), 1_727_962, id="110 A pre-activation"),
        pytest.param(lambda: PlainCifar(9), 853_018, id="plain 56"),
        pytest.param(lambda: StochasticDepth(18, 0.5), 1_727_962, id="110 stochastic depth"),
        pytest.param(lambda: BasicImageNet((2, 2, 2, 2), "B", pre=False), 11_689_512, id="18 B"),
        pytest.param(lambda: BasicImageNet((3, 4, 6, 3), "B", pre=False), 21_797_672, id="34 B"),
        pytest.param(lambda: Wide(4, 10, 0.3), 36_479_194, id="WRN-28-10"),
        pytest.param(lambda: Wide(4, 10, 0.3, classes=100), 36_536_884, id="WRN-28-10 CIFAR-100"),
        pytest.param(lambda: Wide(2, 8, 0.0), 10_961_370, id="WRN-16-8"),
        pytest.param(lambda: Wide(6, 2, 0.0), 2_243_546, id="WRN-40-2"),
        pytest.param(lambda: Highway(10, 50, -1.0), 784 * 50 + 50 + 20 * (50 * 50 + 50) + 50 * 10 + 10, id="highway"),
        pytest.param(lambda: NShortcut(2, 5, 7, "mid"), 2 * 5 * 7 * 7, id="2-shortcut"),
    ],
)
def test_parameter_counts(build: Callable[[], nn.Module], expected: int) -> None:
    assert count(build) == expected


def test_parameters_beside_those_of_110() -> None:
    projections = 16 * 32 + 32 * 64
    squares = 18 * 16**2 + 17 * 32**2 + 17 * 64**2
    norms = 18 * 2 * (16 + 32 + 64)
    base = 1_727_962
    assert count(lambda: BasicOptions(18, "B", pre=False)) == base + projections + 2 * (32 + 64)
    assert count(lambda: BasicOptions(18, "B", pre=True)) == base + projections
    assert count(lambda: BasicOptions(18, "C", pre=False)) == base + projections + squares + norms
    assert count(lambda: BasicOptions(18, "C", pre=True)) == base + projections + squares
    assert count(lambda: BranchScale(18, "scalar", 0.0)) == base + 54
    assert count(lambda: BranchScale(18, "channel", 0.0)) == base + 18 * (16 + 32 + 64)
    assert count(lambda: SEBasic(18, 4)) == base + 18 * sum(2 * c * c // 4 + c // 4 + c for c in (16, 32, 64))


def test_parameters_beside_those_of_34() -> None:
    blocks = (3, 4, 6, 3)
    projections = 64 * 128 + 128 * 256 + 256 * 512
    squares = 3 * 64**2 + 3 * 128**2 + 5 * 256**2 + 2 * 512**2
    a = 21_797_672 - projections - 2 * (128 + 256 + 512)
    assert count(lambda: BasicImageNet(blocks, "A", pre=False)) == a
    assert count(lambda: BasicImageNet(blocks, "A", pre=False, plain=True)) == a
    assert count(lambda: BasicImageNet(blocks, "C", pre=True, plain=True)) == count(
        lambda: BasicImageNet(blocks, "A", pre=True)
    )
    # Original: a BN after each convolution. Pre-activation: the stem's, the tail's, and one before each
    # convolution of a unit but the first; the last unit of each of the stages 1 to 3 hands on fewer channels.
    first = 2 * 64
    tail = 2 * 512
    changing = 2 * (64 + 128 + 256 - 128 - 256 - 512)
    assert count(lambda: BasicImageNet(blocks, "A", pre=True)) == a - first + tail + changing
    assert count(lambda: BasicImageNet(blocks, "B", pre=True)) == a - first + tail + changing + projections
    assert count(lambda: BasicImageNet(blocks, "C", pre=True)) == a - first + tail + changing + projections + squares


def test_skip_init_has_biases_and_scales_for_the_norms_of_wide() -> None:
    n, k = 2, 3
    widths = [16, *(16 * k for _ in range(n)), *(32 * k for _ in range(n)), *(64 * k for _ in range(n))]
    norms = sum(2 * (c_in + c_out) for c_in, c_out in pairwise(widths)) + 2 * 64 * k
    biases = 16 + sum(2 * c_out for c_out in widths[1:]) + 16 * k + 32 * k + 64 * k
    assert count(lambda: SkipInit(n, k, 0.0)) == count(lambda: Wide(n, k, 0.0)) - norms + biases + 3 * n


# Options A, B and C


def basic_unit(r: Taker, x: Tensor, option: Option | None, pre: bool, stride: int, first: bool) -> Tensor:
    """A unit of `BasicOptions` written out; the channels double where the stride is 2."""
    a = r.bnr(x) if pre else x
    branch = r.conv(r.bnr(r.conv(a, stride)))
    if not pre:
        branch = r.bn(branch)
    match option:
        case None:
            total = branch
        case "C":
            total = branch + (r.conv(a, stride) if pre else r.bn(r.conv(a, stride)))
        case "B" if stride == 2:
            total = branch + (r.conv(a, 2) if pre else r.bn(r.conv(a, 2)))
        case "A" if stride == 2:
            total = branch + pad(a)
        case _:
            total = branch + (a if first else x)
    return total if pre else total.relu()


@pytest.mark.parametrize("pre", [False, True])
@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_basic_options(option: Option, pre: bool) -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.conv(x) if pre else r.bnr(r.conv(x))
        for index, stride in enumerate((1, 1, 2, 1, 2, 1)):
            x = basic_unit(r, x, option, pre, stride, first=index == 0)
        return r.head(r.bnr(x) if pre else x)

    check_taken(BasicOptions(2, option, pre), network)


# Not C with pre-activation: the Conv1x1 of CifarBasic reads x where the shape is kept, option C here always a.
@pytest.mark.parametrize(
    ("build", "build_other"),
    [
        pytest.param(lambda: BasicOptions(2, "A", pre=False), lambda: CifarBasic(2), id="A"),
        pytest.param(lambda: BasicOptions(2, "A", pre=True), lambda: CifarBasic(2, placement=PRE), id="A pre"),
        pytest.param(lambda: BasicOptions(2, "C", pre=False), lambda: CifarBasic(2, shortcut=Conv1x1()), id="C"),
        pytest.param(lambda: PlainCifar(2), lambda: CifarBasic(2, shortcut=Nothing()), id="plain"),
        pytest.param(lambda: StochasticDepth(2, 0.0), lambda: CifarBasic(2), id="nothing dropped"),
        pytest.param(lambda: BranchScale(2, "scalar", 1.0), lambda: CifarBasic(2, placement=PRE), id="scales of 1"),
    ],
)
def test_what_cifar_basic_has_too(build: Callable[[], nn.Module], build_other: Callable[[], nn.Module]) -> None:
    network, other = build().double(), build_other().double()
    carry(network, other)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    close(network(x), other(x))  # which moves the running statistics
    close(network.eval()(x), other.eval()(x))


def test_plain_cifar() -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.bnr(r.conv(x))
        for stride in (1, 2, 2):
            x = r.bnr(r.conv(r.bnr(r.conv(x, stride))))
        return r.head(x)

    check_taken(PlainCifar(1), network)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("pre", [False, True])
@pytest.mark.parametrize("option", ["A", "B", "C"])
def test_basic_imagenet(option: Option, pre: bool, plain: bool) -> None:
    kind = None if plain else option

    def network(r: Taker, x: Tensor) -> Tensor:
        x = max_pool2d(r.bnr(r.conv(x, 2)), 3, stride=2, padding=1)
        if pre:
            branch = r.conv(r.bnr(r.conv(x)))
            x = branch if plain else branch + (r.conv(x) if option == "C" else x)
        else:
            x = basic_unit(r, x, kind, pre, 1, first=False)
        for stride in (1, 2, 2, 2):
            x = basic_unit(r, x, kind, pre, stride, first=False)
        return r.head(r.bnr(x) if pre else x)

    check_taken(BasicImageNet((2, 1, 1, 1), option, pre, plain, classes=7), network, size=32)


# Stochastic depth


def stochastic(r: Taker, x: Tensor, treat: Callable[[Tensor, float], Tensor], p: float) -> Tensor:
    """StochasticDepth(2, p) written out; `treat` does to a branch of drop probability d what is done to it."""
    x = r.bnr(r.conv(x))
    for number, stride in enumerate((1, 1, 2, 1, 2, 1), start=1):
        branch = treat(r.bn(r.conv(r.bnr(r.conv(x, stride)))), p * number / 6)
        x = ((pad(x) if stride == 2 else x) + branch).relu()
    return r.head(x)


def test_stochastic_depth_in_evaluation() -> None:
    check_taken(StochasticDepth(2, 0.5), lambda r, x: stochastic(r, x, lambda branch, d: (1 - d) * branch, 0.5))
    check_taken(StochasticDepth(2, 0.5, rescale=True), lambda r, x: stochastic(r, x, lambda branch, _: branch, 0.5))


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("per_sample", [False, True])
def test_stochastic_depth_in_training(per_sample: bool, rescale: bool) -> None:
    kept: list[bool] = []

    def treat(branch: Tensor, d: float) -> Tensor:
        keep = torch.rand(4 if per_sample else 1, 1, 1, 1) >= d
        kept.extend(keep.flatten().tolist())
        return branch * keep / (1 - d if rescale else 1)

    network = StochasticDepth(2, 0.9, per_sample=per_sample, rescale=rescale).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for seed in range(5):
        taker = TrainingTaker(network)
        torch.manual_seed(seed)
        expected = stochastic(taker, x, treat, 0.9)
        assert not taker.tensors
        torch.manual_seed(seed)
        close(network(x), expected)
    assert set(kept) == {False, True}


def test_drop_branch() -> None:
    ones = torch.ones(20_000, 1, 1, 1, dtype=torch.float64)
    for rescale, value in ((False, 1.0), (True, 4.0)):
        drop = DropBranch(0.75, per_sample=True, rescale=rescale)
        result = drop(ones)
        assert result.unique().tolist() == [0.0, value]
        assert abs((result > 0).double().mean().item() - 0.25) < 0.02
        assert drop.eval()(ones).unique().tolist() == [1.0 if rescale else 0.25]
    assert len(DropBranch(0.5, per_sample=False, rescale=False)(ones).unique()) == 1


def test_a_dropped_branch_has_no_gradient_but_moves_its_statistics() -> None:
    network = StochasticDepth(1, 1.0).double()  # d = 1 in the last unit
    network(torch.randn(2, 3, 8, 8, dtype=torch.float64)).sum().backward()
    last = network.units[2]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in last.parameters())
    assert all(buffer.any() for name, buffer in last.named_buffers() if name.endswith("running_mean"))


# Learned scales, squeeze-and-excitation


@pytest.mark.parametrize("kind", ["scalar", "channel"])
def test_branch_scale(kind: ScaleKind) -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.conv(x)
        for index, stride in enumerate((1, 1, 2, 1, 2, 1)):
            a = r.bnr(x)
            branch = r.conv(r.bnr(r.conv(a, stride)))
            scale = r.take()
            assert scale.shape == (() if kind == "scalar" else (branch.shape[1], 1, 1))
            x = (pad(a) if stride == 2 else a if index == 0 else x) + scale * branch
        return r.head(r.bnr(x))

    module = BranchScale(2, kind, 0.25)
    scales = [parameter for name, parameter in module.named_parameters() if name.endswith(".scale")]
    assert len(scales) == 6
    assert all(torch.equal(scale, torch.full_like(scale, 0.25)) for scale in scales)
    check_taken(module, network)


@pytest.mark.parametrize("kind", ["scalar", "channel"])
def test_branch_scale_of_zero_leaves_the_shortcuts(kind: ScaleKind) -> None:
    network = BranchScale(2, kind, 0.0).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    taker = TrainingTaker(network)
    x_at = taker.conv(x)
    for index, stride in enumerate((1, 1, 2, 1, 2, 1)):
        a = taker.bnr(x_at)
        del taker.tensors[:7]  # conv1, bn2, conv2, scale
        x_at = pad(a) if stride == 2 else a if index == 0 else x_at
    close(network(x), taker.head(taker.bnr(x_at)))


def test_squeeze_and_excitation() -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.bnr(r.conv(x))
        for stride in (1, 2, 2):
            y = r.bn(r.conv(r.bnr(r.conv(x, stride))))
            factors = r.linear(r.linear(y.mean(dim=(2, 3))).relu()).sigmoid()
            assert factors.shape == y.shape[:2]
            x = ((pad(x) if stride == 2 else x) + torch.einsum("nchw,nc->nchw", y, factors)).relu()
        return r.head(x)

    check_taken(SEBasic(1, 4), network)


# Wide networks


@pytest.mark.parametrize("k", [1, 2])
def test_wide(k: int) -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.conv(x)
        for index, stride in enumerate((1, 1, 2, 1, 2, 1)):
            a = r.bnr(x)
            branch = r.conv(r.bnr(r.conv(a, stride)))
            x = (r.conv(a, stride) if stride == 2 or (index == 0 and k > 1) else x) + branch
        return r.head(r.bnr(x))

    check_taken(Wide(2, k, 0.3), network)


def test_dropout_of_wide() -> None:
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    none, half, all_ = (Wide(1, 2, p).double() for p in (0.0, 0.5, 1.0))
    carry(none, half)
    carry(none, all_)
    close(none.eval()(x), half.eval()(x))
    close(none(x), all_.eval()(x))

    taker = TrainingTaker(all_)
    at = taker.conv(x)
    for stride in (1, 2, 2):
        a = taker.bnr(at)
        del taker.tensors[:6]  # conv1, bn2, conv2
        at = taker.conv(a, stride)
    close(all_.train()(x), taker.head(taker.bnr(at)))
    assert not torch.allclose(none.train()(x), half.train()(x))


def test_dropout_of_wide_is_before_the_second_convolution() -> None:
    network = Wide(1, 2, 0.5).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    taker = TrainingTaker(network)
    torch.manual_seed(1)
    at = taker.conv(x)
    for stride in (1, 2, 2):
        a = taker.bnr(at)
        branch = taker.conv(dropout(taker.bnr(taker.conv(a, stride)), 0.5))
        at = taker.conv(a, stride) + branch
    expected = taker.head(taker.bnr(at))
    torch.manual_seed(1)
    close(network(x), expected)


def test_skip_init() -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.conv_bias(x)
        for index, stride in enumerate((1, 1, 2, 1, 2, 1)):
            a = x.relu()
            branch = r.conv_bias(r.conv_bias(a, stride).relu())
            alpha = r.take()
            assert alpha.shape == ()
            x = (r.conv_bias(a, stride) if stride == 2 or index == 0 else x) + alpha * branch
        return r.head(x.relu())

    check_taken(SkipInit(2, 2, 0.0), network)


def test_skip_init_at_zero_is_its_projections() -> None:
    network = SkipInit(2, 1, 0.0).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    taker = Taker(network)
    at = taker.conv_bias(x)
    for stride in (1, 1, 2, 1, 2, 1):
        del taker.tensors[:5]  # conv1, conv2, alpha
        at = taker.conv_bias(at.relu(), 2) if stride == 2 else at
    close(network(x), taker.head(at.relu()))
    assert torch.equal(network(x), network.eval()(x))


# Fully connected networks


def test_highway() -> None:
    def network(r: Taker, x: Tensor) -> Tensor:
        x = r.linear(x.reshape(len(x), -1)).relu()
        for _ in range(3):
            h = r.linear(x).relu()
            t = r.linear(x).sigmoid()
            x = t * h + (1 - t) * x
        return r.linear(x)

    check_taken(Highway(3, 6, -2.0, image=3 * 8 * 8, classes=5), network)


def test_highway_gates_shut_and_open() -> None:
    images = torch.randn(4, 1, 28, 28, dtype=torch.float64)
    shut, wide_open = Highway(3, 6, -1000.0).double(), Highway(3, 6, 1000.0).double()
    assert [bias.tolist() for name, bias in shut.named_parameters() if name.endswith("gate.bias")] == [
        [-1000.0] * 6
    ] * 3
    close(shut(images), shut.linear(shut.first(images.flatten(1)).relu()))
    taker = Taker(wide_open)
    x = taker.linear(images.flatten(1)).relu()
    for _ in range(3):
        x = taker.linear(x).relu()
        del taker.tensors[:2]  # the gate
    close(wide_open(images), taker.linear(x))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("position", ["linear", "pre", "mid", "post"])
def test_n_shortcut(position: Position, n: int) -> None:
    network = NShortcut(n, 4, 5, position).double()
    start = torch.randn(3, 5, dtype=torch.float64)
    x, before = start, start.clone()
    weights = list(network.state_dict().values())
    assert len(weights) == 4 * n
    for unit in range(4):
        h = x.relu() if position == "pre" else x
        for index, weight in enumerate(weights[unit * n : (unit + 1) * n]):
            if index > 0 and position == "mid":
                h = h.relu()
            h = h @ weight.T
        x = x + (h.relu() if position == "post" else h)
    close(network(start), x)
    assert torch.equal(start, before)


def test_linear_n_shortcut_is_a_product_of_matrices() -> None:
    network = NShortcut(2, 3, 4, "linear").double()
    w = list(network.state_dict().values())
    eye = torch.eye(4, dtype=torch.float64)
    product = (eye + w[5] @ w[4]) @ (eye + w[3] @ w[2]) @ (eye + w[1] @ w[0])
    close(network(eye), product.T)


def test_a_mistyped_choice_is_an_error() -> None:
    with pytest.raises(ValueError, match="middle"):
        NShortcut(2, 1, 4, "middle")
    with pytest.raises(KeyError, match="D"):
        BasicOptions(1, "D", pre=False)
    with pytest.raises(KeyError, match="layer"):
        BranchScale(1, "layer", 0.0)
