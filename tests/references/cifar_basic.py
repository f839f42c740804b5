"""CIFAR networks of basic units (depth 6n+2): "Identity Mappings", Tables 1 and 2, Figures 2 and 4."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Chains(NamedTuple):
    """What surrounds the convolutions of a unit; B is a batch norm, R is a ReLU, applied left to right."""

    pre: str  # at the head of the branch
    mid: str  # after each convolution of the branch that another one follows
    post: str  # after the last convolution of the branch, and after a convolution on the shortcut
    after: str  # after the addition


class Placement(Enum):
    """The five placements of the activations ("Identity Mappings", Table 2 and Fig. 4 a-e)."""

    POST = Chains(pre="", mid="BR", post="B", after="R")  # (a) original
    BN_AFTER_ADD = Chains(pre="", mid="BR", post="", after="BR")  # (b) BN after addition
    RELU_BEFORE_ADD = Chains(pre="", mid="BR", post="BR", after="")  # (c) ReLU before addition
    RELU_ONLY_PRE = Chains(pre="R", mid="BR", post="B", after="")  # (d) ReLU-only pre-activation
    PRE = Chains(pre="BR", mid="BR", post="", after="")  # (e) full pre-activation


def chain(letters: str, channels: int) -> nn.Sequential:
    """The modules of one chain of a placement, on `channels` channels; an empty chain is the identity."""
    modules = nn.Sequential()
    for letter in letters:
        modules.append(nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1) if letter == "B" else nn.ReLU())
    return modules


def conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1 (padding kernel // 2 on every side)."""
    return nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2, bias=False)


@dataclass(frozen=True)
class Identity:
    """Shortcut 1, branch 1 (Table 1, "original")."""


@dataclass(frozen=True)
class Nothing:
    """No shortcut at all: a plain network."""


@dataclass(frozen=True)
class Scale:
    """Constant scaling (Table 1, Fig. 2 b): the shortcut and the branch are each multiplied by a constant."""

    shortcut: float
    branch: float


@dataclass(frozen=True)
class Gate:
    """Gating by g = sigmoid(conv1x1(z) + b), z what the shortcut reads, b starting at `bias` (Table 1).

    The shortcut is multiplied by 1-g; if `exclusive` (Fig. 2 c) the branch is multiplied by g, else (d) by 1.
    """

    bias: float
    exclusive: bool


@dataclass(frozen=True)
class Conv1x1:
    """A 1x1 convolution on every shortcut (Table 1, Fig. 2 e): option C of "Deep Residual Learning"."""


@dataclass(frozen=True)
class Dropout:
    """Dropout of probability p on the shortcut (Table 1, Fig. 2 f)."""

    p: float


Shortcut = Identity | Nothing | Scale | Gate | Conv1x1 | Dropout


def option_a(z: Tensor, c_out: int, stride: int) -> Tensor:
    """Option A of "Deep Residual Learning": keep every stride-th pixel, append zero channels up to c_out."""
    return nn.functional.pad(z[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, c_out - z.shape[1]))


class BasicUnit(nn.Module):
    """A unit of two 3x3 convolutions, or of one: [N, c_in, H, W] -> [N, c_out, H/stride, W/stride].

    The shortcut reads x, the input of the unit. In the first unit of the network and where the shape changes
    it reads p instead, the input of the branch's first convolution.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        placement: Placement,
        shortcut: Shortcut,
        one_layer: bool,
        first: bool,
    ) -> None:
        super().__init__()
        chains = placement.value
        self.c_out, self.stride, self.shortcut = c_out, stride, shortcut
        self.changes_shape = c_in != c_out or stride != 1
        self.reads_p = first or self.changes_shape

        self.pre = chain(chains.pre, c_in)
        self.body = nn.Sequential(conv(c_in, c_out, 3, stride))
        if not one_layer:
            self.body.extend([chain(chains.mid, c_out), conv(c_out, c_out, 3)])
        self.body.append(chain(chains.post, c_out))

        match shortcut:
            case Conv1x1():
                self.projection = nn.Sequential(conv(c_in, c_out, 1, stride), chain(chains.post, c_out))
            case Gate(bias=bias):
                self.gate = nn.Conv2d(c_out, c_out, 1)
                self.gate.bias = nn.Parameter(torch.full((c_out,), float(bias)))
            case Dropout(p=p):
                self.dropout = nn.Dropout(p)
            case Identity() | Nothing() | Scale():
                pass

        self.after = chain(chains.after, c_out)

    def forward(self, x: Tensor) -> Tensor:
        p = self.pre(x)
        branch = self.body(p)
        z = p if self.reads_p else x
        if self.changes_shape and not isinstance(self.shortcut, Conv1x1 | Nothing):
            z = option_a(z, self.c_out, self.stride)

        match self.shortcut:
            case Identity():
                total = z + branch
            case Nothing():
                total = branch
            case Scale(shortcut=a, branch=b):
                total = a * z + b * branch
            case Gate(exclusive=exclusive):
                g = torch.sigmoid(self.gate(z))
                total = (1 - g) * z + (g * branch if exclusive else branch)
            case Conv1x1():
                total = self.projection(z) + branch
            case Dropout():
                total = self.dropout(z) + branch
        return self.after(total)


class CifarBasic(nn.Module):
    """Basic-unit network of depth 6n+2: [N, 3, 32, 32] -> [N, classes] (n = 18: ResNet-110).

    Stem conv3x3 3->16, then the placement's post and after chains; three stages of n units (of 2n units if
    `one_layer`: "ResNet-110 (1-layer)" of Table 3, every shortcut skips one convolution) of 16, 32 and 64
    channels on 32x32, 16x16 and 8x8; head: the placement's pre chain, global average pool, linear.
    """

    def __init__(
        self,
        n: int,
        classes: int = 10,
        placement: Placement = Placement.POST,
        shortcut: Shortcut = Identity(),
        one_layer: bool = False,
    ) -> None:
        super().__init__()
        chains = placement.value
        self.stem = nn.Sequential(conv(3, 16, 3), chain(chains.post, 16), chain(chains.after, 16))

        units: list[nn.Module] = []
        c_in = 16
        for c_out in (16, 32, 64):
            for index in range(2 * n if one_layer else n):
                stride = 2 if index == 0 and c_out != 16 else 1
                units.append(BasicUnit(c_in, c_out, stride, placement, shortcut, one_layer, first=not units))
                c_in = c_out
        self.units = nn.Sequential(*units)

        self.tail = chain(chains.pre, 64)
        self.linear = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.tail(self.units(self.stem(images)))
        return self.linear(features.mean(dim=(2, 3)))
