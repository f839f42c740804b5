"""How a network is trained: recipes of papers and of released code, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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


def recipe_for(data: str) -> Recipe:
    """The recipe that goes with a data set: its name, or a file's."""
    return {"cifar10": CIFAR, "cifar100": CIFAR, "imagenet": IMAGENET}.get(data, DIGITS)


def require_valid(recipe: Recipe) -> None:
    """Raises SpecError for numbers that are no recipe's: of a flag, a file, or from Python."""
    wrong = next((text for holds, text in _demands(recipe) if not holds), None)
    if wrong is not None:
        raise fail("wrong-recipe", f"the recipe {recipe.name}: {wrong}")
    late = next((step for step in recipe.steps if step > recipe.length), None)
    if late is not None:
        message = (
            f"the recipe {recipe.name}: the step at {late:,} comes after the end, {recipe.length:,} {recipe.unit.value}"
        )
        help = (
            f"give `steps` too, or leave `length` alone and train with `--{recipe.unit.value}`, which moves the steps"
        )
        raise fail("wrong-recipe", message, help=help)


def with_length(recipe: Recipe, length: int) -> Recipe:
    """The recipe over another length, in its own unit, with its steps and warm-up at the same parts of it."""
    part = length / recipe.length
    return replace(
        recipe,
        length=length,
        steps=tuple(round(step * part) for step in recipe.steps),
        warmup=min(recipe.warmup, round(recipe.warmup * part)),
    )


def lasting(recipe: Recipe, length: int, unit: Unit, per_epoch: int) -> Recipe:
    """The recipe over a length in either unit, as with_length has it. per_epoch: batches of an epoch."""
    match recipe.unit, unit:
        case Unit.ITERATIONS, Unit.EPOCHS:
            return with_length(recipe, length * per_epoch)
        case Unit.EPOCHS, Unit.ITERATIONS:
            steps = tuple(step * per_epoch for step in recipe.steps)
            counted = replace(recipe, unit=unit, length=recipe.length * per_epoch, steps=steps)
            return with_length(counted, length)
        case _:
            return with_length(recipe, length)


def _demands(recipe: Recipe) -> tuple[tuple[bool, str], ...]:
    """What has to hold, and what is said where it does not."""
    steps = recipe.steps
    return (
        (recipe.batch >= 1, f"`batch` is {recipe.batch}, and a step takes one sample at least"),
        (recipe.length >= 1, f"`length` is {recipe.length}, and a run has one of its {recipe.unit.value} at least"),
        (not steps or steps[0] >= 0, f"`steps` has {min(steps, default=0)}, and a run starts at 0"),
        (sorted(steps) == list(steps), f"`steps` are {', '.join(map(str, steps))}: write them in order"),
        (_is_above(recipe.rate), f"`rate` is {recipe.rate:g}, and a rate is above 0"),
        (_is_above(recipe.factor) and recipe.factor <= 1, f"`factor` is {recipe.factor:g}: above 0, and 1 at most"),
        (
            not (steps and recipe.warmup and recipe.unit is Unit.ITERATIONS) or steps[0] > recipe.warmup,
            f"the step at {min(steps, default=0):,} comes before the warm-up's end, at {recipe.warmup:,} iterations",
        ),
        (recipe.warmup >= 0, f"`warmup` is {recipe.warmup}: 0 for none"),
        (_is_above(recipe.warmup_rate), f"`warmup_rate` is {recipe.warmup_rate:g}, and a rate is above 0"),
        (0 <= recipe.momentum < 1, f"`momentum` is {recipe.momentum:g}: from 0 on, and below 1"),
        (not recipe.nesterov or recipe.momentum > 0, "`nesterov` is a kind of momentum, and `momentum` is 0"),
        (
            _is_above(recipe.weight_decay) or recipe.weight_decay == 0,
            f"`weight_decay` is {recipe.weight_decay:g}: 0 for none",
        ),
        (recipe.pad >= 0, f"`pad` is {recipe.pad}: 0 for none"),
    )


def _is_above(number: float) -> bool:
    return 0 < number < math.inf
