"""The operators of a network: one frozen type each, every argument typed and filled in.

Channels that come in are not stored: they follow from the shape (see shapes.py). The names in OPERATORS are those of
the language and of the JSON document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from resdsl.network.types import He, Init, Pair, PerCopy, Shape, Tap


@dataclass(frozen=True, slots=True)
class Conv:
    """2-D convolution. Padding is per side, (height, width). `eps` belongs to `standardise`, and is 0 without it."""

    kernel: Pair
    channels: int
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    bias: bool = False
    padding: Pair = (0, 0)
    standardise: bool = False
    eps: float = 0.0
    init: Init = He()


@dataclass(frozen=True, slots=True)
class Linear:
    features: int
    bias: bool = True
    init: Init = He()


@dataclass(frozen=True, slots=True)
class BatchNorm:
    """Over batch and positions, per channel (Ioffe and Szegedy 2015). `momentum` is the weight of the new statistic."""

    eps: float = 1e-5
    momentum: float = 0.1


@dataclass(frozen=True, slots=True)
class GroupNorm:
    groups: int
    eps: float = 1e-5


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Over channels, at each position."""

    eps: float = 1e-6


@dataclass(frozen=True, slots=True)
class Relu:
    pass


@dataclass(frozen=True, slots=True)
class Gelu:
    """x * Phi(x), exact (erf)."""


@dataclass(frozen=True, slots=True)
class Silu:
    """x * sigmoid(x)."""


@dataclass(frozen=True, slots=True)
class Tanh:
    pass


@dataclass(frozen=True, slots=True)
class Sigmoid:
    pass


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiplies by `factor`; on a shortcut, the finished branch by `branch` too.

    With `learn` the factor is a parameter (one number, or one a channel with `per_channel`) that starts there.
    """

    factor: PerCopy
    branch: PerCopy = 1.0
    learn: bool = False
    per_channel: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """On a shortcut: times 1 - g, g = sigmoid(conv1x1(x) + bias) of what it reads; with `branch`, the branch times g."""

    bias: PerCopy
    branch: bool = False
    init: Init = He()


@dataclass(frozen=True, slots=True)
class Dropout:
    """In training each element is 0 with probability p, the rest divided by 1 - p; the identity in evaluation."""

    p: PerCopy


@dataclass(frozen=True, slots=True)
class DropPath:
    """In training the whole path is 0 with probability p: per sample or per batch; `rescale` divides by 1 - p.

    Without `rescale`, evaluation multiplies by 1 - p (Huang et al. 2016).
    """

    p: PerCopy
    per_sample: bool = True
    rescale: bool = True


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """x * sigmoid(W2 relu(W1 mean(x))), C // reduction features between, with biases (Hu et al. 2018)."""

    reduction: int
    init: Init = He()


@dataclass(frozen=True, slots=True)
class MaxPool:
    kernel: Pair
    stride: int
    padding: Pair = (0, 0)


@dataclass(frozen=True, slots=True)
class AvgPool:
    """Mean over the window; with `count_padding` padded zeros count, otherwise only what lies inside."""

    kernel: Pair
    stride: int
    padding: Pair = (0, 0)
    count_padding: bool = True


@dataclass(frozen=True, slots=True)
class GlobalAvgPool:
    """Mean over all positions: an image becomes a vector. Written `avgpool`."""


@dataclass(frozen=True, slots=True)
class Pad:
    """Every stride-th pixel, from the first on; zero channels appended up to `channels` (option A of He et al. 2015)."""

    channels: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Flatten:
    """Channels x height x width become one vector, in that order."""


@dataclass(frozen=True, slots=True)
class Partial:
    """`chain` on the first `channels` channels; zero in place of the others."""

    channels: int
    chain: Chain


@dataclass(frozen=True, slots=True)
class Concat:
    """Each chain reads the same input; their results are joined along channels."""

    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """The identity, in the place of an operator that a pass took out: it keeps the names of its neighbours.

    `was`: the operator's name. It stands in optimised networks alone, neither in the language nor in documents.
    """

    was: str


Operator: TypeAlias = (
    Conv
    | Linear
    | BatchNorm
    | GroupNorm
    | LayerNorm
    | Relu
    | Gelu
    | Silu
    | Tanh
    | Sigmoid
    | Scale
    | Gate
    | Dropout
    | DropPath
    | SqueezeExcite
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | Pad
    | Flatten
    | Partial
    | Concat
    | Removed
)

OPERATORS: dict[str, type[Operator]] = {
    "conv": Conv,
    "linear": Linear,
    "bn": BatchNorm,
    "groupnorm": GroupNorm,
    "layernorm": LayerNorm,
    "relu": Relu,
    "gelu": Gelu,
    "silu": Silu,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "scale": Scale,
    "gate": Gate,
    "dropout": Dropout,
    "drop_path": DropPath,
    "se": SqueezeExcite,
    "maxpool": MaxPool,
    "avgpool": AvgPool,
    "global_avgpool": GlobalAvgPool,
    "pad": Pad,
    "flatten": Flatten,
    "partial": Partial,
    "concat": Concat,
}

OPERATOR_NAMES: dict[type[Operator], str] = {kind: name for name, kind in OPERATORS.items()}

NORMS = (BatchNorm, GroupNorm, LayerNorm)
ACTIVATIONS = (Relu, Gelu, Silu, Tanh, Sigmoid)

PER_COPY_FIELDS: dict[type[Operator], tuple[str, ...]] = {
    Scale: ("factor", "branch"),
    Gate: ("bias",),
    Dropout: ("p",),
    DropPath: ("p",),
}
"""The arguments that may differ between the copies of a repeated unit."""


@dataclass(frozen=True, slots=True)
class Unit:
    """after(shortcut(tap) + branch(x)).

    input, output: shapes without the batch. label: how it was called, as in `basic(32, stride = 2)`; no part of what
    the unit is.
    """

    name: str
    label: str = field(compare=False)
    input: Shape
    output: Shape
    branch: Chain
    shortcut: Shortcut
    after: Chain

    @property
    def changes_shape(self) -> bool:
        return self.input != self.output

    @property
    def lead(self) -> int:
        """lead_length of the branch. A shortcut that reads `activated` reads what these operators leave."""
        return lead_length(self.branch)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """chain: empty is the identity, None adds nothing. projection: the unit's projection took the shortcut's place."""

    tap: Tap
    chain: Chain | None
    projection: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """The same unit `count` times in a row; PerCopy arguments that are tuples hold one number a copy."""

    count: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Units:
    """Units in a row with nothing between them."""

    runs: tuple[Run, ...]

    @property
    def count(self) -> int:
        return sum(run.count for run in self.runs)


Element: TypeAlias = Operator | Units
Chain: TypeAlias = tuple[Element, ...]


def lead_length(branch: Chain) -> int:
    """How many operators of a branch stand before its first weight layer, unit or concat; 0 if it has none."""
    for index, element in enumerate(branch):
        if isinstance(element, Conv | Linear | Concat | Units):
            return index
    return 0
