"""How a network is trained: recipes of papers and of released code, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from resdsl.diagnostics import fail


class Unit(Enum):
    """What the length of a run and its steps are counted in."""

    ITERATIONS = "iterations"
    EPOCHS = "epochs"


class Decay(Enum):
    """What weight decay acts on."""

    ALL = "all"
    WEIGHTS = "weights"  # what has two axes or more: no norms, no biases, no learned factors


class Normalise(Enum):
    """What is subtracted from the pixels, of 0 to 1, and what they are divided by; both measured on the training set."""

    CHANNEL = "channel"  # mean and standard deviation of each channel
    PIXEL = "pixel"  # the mean of each pixel; nothing is divided
    NONE = "none"


class Crop(Enum):
    """How a training image is cut from a file's picture; CIFAR's are padded instead."""

    SCALE = "scale"  # the shorter side drawn from 256 to 480, a random crop (He et al. 2015)
    ASPECT = "aspect"  # 8 to 100 % of the area, sides 3:4 to 4:3 (Szegedy et al. 2015)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Stochastic gradient descent with momentum, on cross-entropy.

    batch: samples of one update, on all devices together. length, steps: in `unit`; at each step the rate is multiplied by
    `factor`. warmup: iterations at the start with `warmup_rate`. pad: zeros around the normalised image, before a random
    crop of the image's own size. flip: left and right, every other time. crop: of files. Weights start as the spec says.
    """

    name: str
    source: str
    batch: int
    unit: Unit
    length: int
    steps: tuple[int, ...]
    rate: float = 0.1
    factor: float = 0.1
    warmup: int = 0
    warmup_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay: Decay = Decay.ALL
    normalise: Normalise = Normalise.CHANNEL
    pad: int = 4
    flip: bool = True
    crop: Crop = Crop.SCALE


CIFAR = Recipe(
    name="cifar",
    source="He et al. 2016, Identity Mappings, section 3 and appendix",
    batch=128,
    unit=Unit.ITERATIONS,
    length=64_000,
    steps=(32_000, 48_000),
    warmup=400,
    normalise=Normalise.PIXEL,  # He et al. 2015, section 4.2
)
CIFAR_TORCH = Recipe(
    name="cifar-torch",
    source="the Torch code that He et al. 2016 released",
    batch=64,
    unit=Unit.EPOCHS,
    length=200,
    steps=(80, 121),  # it counts epochs from 1, and steps before the 81st and the 122nd
    nesterov=True,
)
IMAGENET = Recipe(
    name="imagenet",
    source="He et al. 2016, Identity Mappings, section 5",
    batch=256,
    unit=Unit.EPOCHS,
    length=90,
    steps=(30, 60),
    pad=0,
)
DIGITS = Recipe(
    name="digits",
    source="our own, for try-outs on a CPU",
    batch=64,
    unit=Unit.ITERATIONS,
    length=400,
    steps=(200, 300),
    warmup=20,
    pad=1,
    flip=False,
)
RECIPES = MappingProxyType({recipe.name: recipe for recipe in (CIFAR, CIFAR_TORCH, IMAGENET, DIGITS)})


def recipe_named(name: str) -> Recipe:
    """Raises SpecError if there is none of that name."""
    if name not in RECIPES:
        raise fail(
            "unknown-recipe", f"there is no recipe {name!r}", help=f"one of {', '.join(RECIPES)}, or a .toml file"
        )
    return RECIPES[name]
