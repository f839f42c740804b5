"""Networks of related papers: other gates, scales, widths and depths of shortcuts, and the basic-unit networks.

Highway networks (arXiv 1505.00387), n-shortcut linear networks (Li et al. 2016), stochastic depth (1603.09382),
wide residual networks (1605.07146), a learned scale on the branch, SkipInit (2002.10444), squeeze-and-excitation
(1709.01507), and options A, B, C and the plain networks of "Deep Residual Learning" (1512.03385).
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from .cifar_basic import chain, conv

Option = Literal["A", "B", "C"]
Position = Literal["linear", "pre", "mid", "post"]
ScaleKind = Literal["scalar", "channel"]

CIFAR = (16, 32, 64)
IMAGENET = (64, 128, 256, 512)


def stages(c_in: int, widths: tuple[int, ...], blocks: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """(c_in, c_out, stride) of every unit in order; stride 2 in the first unit of every stage but the first."""
    for stage, (c_out, count) in enumerate(zip(widths, blocks, strict=True)):
        for index in range(count):
            yield c_in, c_out, 2 if stage > 0 and index == 0 else 1
            c_in = c_out


class Staged(nn.Module):
    """Stem, units, tail, global average pool, linear: [N, 3, H, W] -> [N, classes]."""

    def __init__(self, stem: nn.Module, units: list[nn.Module], tail: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.units = nn.Sequential(*units)
        self.tail = tail
        self.linear = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.tail(self.units(self.stem(images)))
        return self.linear(features.mean(dim=(2, 3)))


class Scale(nn.Module):
    """A learned scale that starts at `start`.

    It is a module of its own because a state_dict has a module's own parameters before its children's, so that
    a parameter of the unit would come before the unit's convolutions.
    """

    def __init__(self, shape: tuple[int, ...], start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full(shape, float(start)))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


class DropBranch(nn.Module):
    """Drops its input with probability d in training, for the batch or for each sample."""

    def __init__(self, d: float, per_sample: bool, rescale: bool) -> None:
        super().__init__()
        self.d, self.per_sample, self.rescale = d, per_sample, rescale

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch if self.rescale else branch * (1 - self.d)
        u = torch.rand(branch.shape[0] if self.per_sample else 1, 1, 1, 1, device=branch.device)
        kept = branch / (1 - self.d) if self.rescale else branch
        return torch.where(u >= self.d, kept, 0.0)


class SqueezeExcitation(nn.Module):
    """y * sigmoid(W2 relu(W1 mean(y))), one factor for each channel of each sample."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, y: Tensor) -> Tensor:
        factors = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean(dim=(2, 3))))))
        return y * factors[:, :, None, None]


class BasicUnit(nn.Module):
    """Two 3x3 convolutions, original or pre-activation, and a shortcut of option A, B, C or none at all (None).

    a is what the branch's first convolution reads. A pre-activation unit's shortcut reads a where it projects,
    where the channels change, and in the first unit of the network; elsewhere it is x. `leading` is False for
    a pre-activation unit that has no BN-ReLU of its own: there a is x. `ending` is the last module of the branch.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        option: Option | None,
        pre: bool,
        first: bool = False,
        leading: bool = True,
        ending: nn.Module | None = None,
    ) -> None:
        super().__init__()
        changes = c_in != c_out
        projects = {"A": False, "B": changes, "C": True, None: False}[option]
        self.has_shortcut = option is not None
        self.appended = c_out - c_in
        self.stride = stride
        self.reads_a = projects or changes or first

        self.leading = chain("BR" if pre and leading else "", c_in)
        self.branch = nn.Sequential(conv(c_in, c_out, 3, stride), chain("BR", c_out), conv(c_out, c_out, 3))
        if not pre:
            self.branch.append(chain("B", c_out))
        if ending is not None:
            self.branch.append(ending)
        self.projection: nn.Sequential | None = None
        if projects:
            self.projection = nn.Sequential(conv(c_in, c_out, 1, stride), chain("" if pre else "B", c_out))
        self.after = chain("" if pre else "R", c_out)

    def forward(self, x: Tensor) -> Tensor:
        a = self.leading(x)
        branch = self.branch(a)
        if not self.has_shortcut:
            return self.after(branch)
        shortcut = a if self.reads_a else x
        if self.projection is not None:
            shortcut = self.projection(shortcut)
        elif self.appended:
            kept = shortcut[:, :, :: self.stride, :: self.stride]
            n, _, height, width = kept.shape
            shortcut = torch.cat([kept, kept.new_zeros(n, self.appended, height, width)], dim=1)
        return self.after(shortcut + branch)


def cifar_stem(pre: bool) -> nn.Sequential:
    return nn.Sequential(conv(3, 16, 3), chain("" if pre else "BR", 16))


class BasicOptions(Staged):
    """CIFAR network of depth 6n+2 with shortcuts of option A, B or C, original or full pre-activation."""

    def __init__(self, n: int, option: Option, pre: bool, classes: int = 10) -> None:
        units: list[nn.Module] = [
            BasicUnit(*shape, option, pre, first=index == 0) for index, shape in enumerate(stages(16, CIFAR, (n, n, n)))
        ]
        super().__init__(cifar_stem(pre), units, chain("BR" if pre else "", 64), 64, classes)


class PlainCifar(Staged):
    """The plain CIFAR network of depth 6n+2: original units without their shortcuts."""

    def __init__(self, n: int, classes: int = 10) -> None:
        units: list[nn.Module] = [BasicUnit(*shape, None, pre=False) for shape in stages(16, CIFAR, (n, n, n))]
        super().__init__(cifar_stem(pre=False), units, nn.Identity(), 64, classes)


class StochasticDepth(Staged):
    """CIFAR network of depth 6n+2, original units, option A; the l-th of L units drops its branch with p l / L."""

    def __init__(self, n: int, p: float, classes: int = 10, per_sample: bool = False, rescale: bool = False) -> None:
        units: list[nn.Module] = [
            BasicUnit(*shape, "A", pre=False, ending=DropBranch(p * number / (3 * n), per_sample, rescale))
            for number, shape in enumerate(stages(16, CIFAR, (n, n, n)), start=1)
        ]
        super().__init__(cifar_stem(pre=False), units, nn.Identity(), 64, classes)


class BranchScale(Staged):
    """CIFAR network of depth 6n+2, full pre-activation, option A; a learned scale on every branch.

    The scale is one number ("scalar", 0-dim) or one per channel ("channel", of shape (C, 1, 1)).
    """

    def __init__(self, n: int, kind: ScaleKind, start: float, classes: int = 10) -> None:
        units: list[nn.Module] = []
        for c_in, c_out, stride in stages(16, CIFAR, (n, n, n)):
            shape = {"scalar": (), "channel": (c_out, 1, 1)}[kind]
            units.append(BasicUnit(c_in, c_out, stride, "A", pre=True, first=not units, ending=Scale(shape, start)))
        super().__init__(cifar_stem(pre=True), units, chain("BR", 64), 64, classes)


class SEBasic(Staged):
    """CIFAR network of depth 6n+2, original units, option A; every branch ends in squeeze-and-excitation."""

    def __init__(self, n: int, reduction: int, classes: int = 10) -> None:
        units: list[nn.Module] = [
            BasicUnit(c_in, c_out, stride, "A", pre=False, ending=SqueezeExcitation(c_out, reduction))
            for c_in, c_out, stride in stages(16, CIFAR, (n, n, n))
        ]
        super().__init__(cifar_stem(pre=False), units, nn.Identity(), 64, classes)


class BasicImageNet(Staged):
    """ImageNet network of basic units: blocks (2, 2, 2, 2) are depth 18, (3, 4, 6, 3) depth 34.

    The stem is conv7x7/2, BN, ReLU, maxpool3x3/2 in both styles; with `pre` the first unit goes without its
    leading BN-ReLU. `plain` leaves out every shortcut, whatever the option.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        option: Option,
        pre: bool,
        plain: bool = False,
        classes: int = 1000,
    ) -> None:
        stem = nn.Sequential(conv(3, 64, 7, 2), chain("BR", 64), nn.MaxPool2d(3, stride=2, padding=1))
        units: list[nn.Module] = [
            BasicUnit(*shape, None if plain else option, pre, leading=index > 0)
            for index, shape in enumerate(stages(64, IMAGENET, blocks))
        ]
        super().__init__(stem, units, chain("BR" if pre else "", 512), 512, classes)


class WideUnit(nn.Module):
    """Full pre-activation with dropout between the convolutions; where the shape changes a 1x1 convolution of a."""

    def __init__(self, c_in: int, c_out: int, stride: int, p: float) -> None:
        super().__init__()
        self.leading = chain("BR", c_in)
        self.conv1 = conv(c_in, c_out, 3, stride)
        self.middle = chain("BR", c_out)
        self.dropout = nn.Dropout(p)
        self.conv2 = conv(c_out, c_out, 3)
        self.projection = conv(c_in, c_out, 1, stride) if c_in != c_out or stride != 1 else None

    def forward(self, x: Tensor) -> Tensor:
        a = self.leading(x)
        branch = self.conv2(self.dropout(self.middle(self.conv1(a))))
        shortcut = x if self.projection is None else self.projection(a)
        return shortcut + branch


class Wide(Staged):
    """Wide residual network of depth 6n+4, k times as wide: n = 4, k = 10 is WRN-28-10."""

    def __init__(self, n: int, k: int, p: float, classes: int = 10) -> None:
        widths = (16 * k, 32 * k, 64 * k)
        units: list[nn.Module] = [WideUnit(*shape, p) for shape in stages(16, widths, (n, n, n))]
        super().__init__(conv(3, 16, 3), units, chain("BR", 64 * k), 64 * k, classes)


def biased_conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=True)


class SkipInitUnit(nn.Module):
    """A wide unit without normalisation: alpha * conv2(relu(conv1(a))) beside x, or beside a 1x1 convolution of a."""

    def __init__(self, c_in: int, c_out: int, stride: int, start: float) -> None:
        super().__init__()
        self.conv1 = biased_conv(c_in, c_out, 3, stride)
        self.conv2 = biased_conv(c_out, c_out, 3)
        self.alpha = Scale((), start)
        self.projection = biased_conv(c_in, c_out, 1, stride) if c_in != c_out or stride != 1 else None

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(x)
        branch = self.alpha(self.conv2(torch.relu(self.conv1(a))))
        shortcut = x if self.projection is None else self.projection(a)
        return shortcut + branch


class SkipInit(Staged):
    """The network of `Wide` without any normalisation or dropout, alpha starting at `start` on every branch."""

    def __init__(self, n: int, k: int, start: float, classes: int = 10) -> None:
        widths = (16 * k, 32 * k, 64 * k)
        units: list[nn.Module] = [SkipInitUnit(*shape, start) for shape in stages(16, widths, (n, n, n))]
        super().__init__(biased_conv(3, 16, 3), units, nn.ReLU(), 64 * k, classes)


class HighwayLayer(nn.Module):
    """T * H + (1 - T) * x, H a ReLU layer of x, T a sigmoid layer of x whose bias starts at `bias`: [N, width]."""

    def __init__(self, width: int, bias: float) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.gate.bias = nn.Parameter(torch.full((width,), float(bias)))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.transform(x))
        t = torch.sigmoid(self.gate(x))
        return t * h + (1 - t) * x


class Highway(nn.Module):
    """Fully connected highway network: [N, 1, 28, 28], or any shape of `image` numbers, -> [N, classes]."""

    def __init__(self, layers: int, width: int, bias: float, image: int = 784, classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(image, width)
        self.layers = nn.Sequential(*(HighwayLayer(width, bias) for _ in range(layers)))
        self.linear = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.layers(torch.relu(self.first(images.flatten(1)))))


class NShortcutUnit(nn.Module):
    """x + W_n(... W_1(x)), the ReLUs before W_1 ("pre"), between the W ("mid"), after W_n ("post") or nowhere."""

    def __init__(self, n: int, width: int, position: Position) -> None:
        super().__init__()
        weights = [nn.Linear(width, width, bias=False) for _ in range(n)]
        self.branch = nn.Sequential()
        match position:
            case "linear":
                self.branch.extend(weights)
            case "pre":
                self.branch.extend([nn.ReLU(), *weights])
            case "mid":
                self.branch.append(weights[0])
                for _, weight in pairwise(weights):
                    self.branch.extend([nn.ReLU(), weight])
            case "post":
                self.branch.extend([*weights, nn.ReLU()])
            case _:
                raise ValueError(f"no position {position}")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class NShortcut(nn.Module):
    """A chain of units whose shortcuts each skip n linear layers: [N, width] -> [N, width]."""

    def __init__(self, n: int, units: int, width: int, position: Position) -> None:
        super().__init__()
        self.units = nn.Sequential(*(NShortcutUnit(n, width, position) for _ in range(units)))

    def forward(self, x: Tensor) -> Tensor:
        return self.units(x)


class RoRLevel(nn.Module):
    """n basic units and a shortcut over them: a 1x1 convolution and a BN (RoR, Fig. 2). No ReLU behind the last unit."""

    def __init__(self, c_in: int, c_out: int, n: int, stride: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            RoRUnit(c_in if i == 0 else c_out, c_out, stride if i == 0 else 1, last=i == n - 1) for i in range(n)
        )
        self.shortcut = nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.units:
            y = unit(y)
        return y + self.shortcut(x)


class RoRUnit(nn.Module):
    """relu(shortcut(x) + BN(conv(relu(BN(conv(x)))))), without the outer ReLU if it is the last of its level."""

    def __init__(self, c_in: int, c_out: int, stride: int, last: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv(c_in, c_out, 3, stride), nn.BatchNorm2d(c_out), nn.ReLU(), conv(c_out, c_out, 3), nn.BatchNorm2d(c_out)
        )
        fits = c_in == c_out and stride == 1
        self.shortcut = nn.Identity() if fits else nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        y = self.shortcut(x) + self.branch(x)
        return y if self.last else y.relu()


class RoR3(nn.Module):
    """Three levels of shortcuts (Zhang et al. 2016): units, levels of n units, and one over all levels."""

    def __init__(self, n: int, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
        self.levels = nn.ModuleList([RoRLevel(16, 16, n, 1), RoRLevel(16, 32, n, 2), RoRLevel(32, 64, n, 2)])
        self.shortcut = nn.Sequential(conv(16, 64, 1, 4), nn.BatchNorm2d(64))
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.levels[1](self.levels[0](x).relu()).relu()
        y = (self.levels[2](y) + self.shortcut(x)).relu()
        return self.head(y.mean(dim=(2, 3)))


class StandardisedConv(nn.Conv2d):
    """Filters minus their mean, over sqrt(max(variance * fan-in, 1e-4)), times a learned gain (Brock et al. 2021)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride=stride, padding=kernel // 2)
        self.gain = nn.Parameter(torch.ones(c_out, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        flat = self.weight.flatten(1)
        centred = flat - flat.mean(dim=1, keepdim=True)
        scale = (centred.square().mean(dim=1, keepdim=True) * flat.shape[1]).clamp(min=1e-4).rsqrt()
        weight = (centred * scale).view_as(self.weight) * self.gain
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class NFUnit(nn.Module):
    """shortcut + alpha * skip * F(beta * gamma * relu(x)); the projection reads what F does, behind a 2x2 average pool."""

    def __init__(self, c_in: int, width: int, stride: int, variance: float) -> None:
        super().__init__()
        self.beta = variance**-0.5
        self.conv1 = StandardisedConv(c_in, width, 1)
        self.conv2 = StandardisedConv(width, width, 3, stride)
        self.conv3 = StandardisedConv(width, 4 * width, 1)
        self.skip = Scale((), 0.0)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.projection = StandardisedConv(c_in, 4 * width, 1) if c_in != 4 * width else None

    def forward(self, x: Tensor) -> Tensor:
        a = self.beta * act(x)
        y = self.conv3(act(self.conv2(act(self.conv1(a)))))
        return (x if self.projection is None else self.projection(self.pool(a))) + 0.2 * self.skip(y)


def act(x: Tensor) -> Tensor:
    """ReLU with variance 1 on standard normal inputs."""
    return x.relu() * 1.7139588594436646


class NFResNet(nn.Module):
    """ResNet for ImageNet without norms: the variance of the stream is 1 behind each change of shape's unit, plus 0.2**2."""

    def __init__(self, blocks: tuple[int, int, int, int], classes: int = 1000) -> None:
        super().__init__()
        self.stem = StandardisedConv(3, 64, 7, 2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.units = nn.ModuleList()
        variance, c_in = 1.0, 64
        for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True)):
            for number in range(count):
                self.units.append(NFUnit(c_in, width, 2 if stage and number == 0 else 1, variance))
                variance = (1.0 if number == 0 else variance) + 0.2**2
                c_in = 4 * width
        self.head = nn.Linear(c_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        for unit in self.units:
            x = unit(x)
        return self.head(act(x).mean(dim=(2, 3)))
