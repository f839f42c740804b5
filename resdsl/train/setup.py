"""From a spec, a recipe and data to all that a run is made of; what does not go together is refused here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from resdsl import spec as specs
from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.shapes import chain_output
from resdsl.network.types import Image, Shape, Vector
from resdsl.recorded import Recorded
from resdsl.source import Source
from resdsl.spec import Options, Origin, Parameter
from resdsl.train.data.dataset import Arrays, Dataset
from resdsl.train.data.normalisation import normalisation
from resdsl.train.recipe import Recipe, require_valid
from resdsl.train.schedule import Schedule, schedule

Spec = str | os.PathLike[str] | Source
IMAGE, CLASSES = "image", "classes"
"""Parameters of a network that follow from the data."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What is trained on what, and how. seed: of the initial weights, of the order of the data, of its augmentation."""

    network: Network
    origin: Origin
    data: Dataset
    recipe: Recipe
    by: Recorded
    schedule: Schedule
    seed: int


def setup(
    spec: Spec,
    recipe: Recipe,
    data: Dataset,
    *,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    seed: int = 0,
    options: Options = Options(),
    by: Recorded | None = None,
) -> Setup:
    """Parameters `image` and `classes` of the network are set from the data unless they are given. by: of these data as the recipe
    wants it, if it is known; it is measured otherwise. Raises SpecError where network and data do not fit.
    """
    require_valid(recipe)
    given = dict(parameters or {})
    known = specs.parameter_names(spec, network, options)
    shape = data.shape if isinstance(data, Arrays) else None
    if shape is not None and isinstance(shape, Image) and IMAGE in known:
        given.setdefault(IMAGE, str(shape))
    if CLASSES in known:
        given.setdefault(CLASSES, len(data.classes))
    built = specs.build(spec, network, given, options)
    _require_fit(built, data, shape, known)
    return Setup(
        built,
        specs.origin(spec, given, options),
        data,
        recipe,
        by or normalisation(data, recipe.normalise),
        schedule(recipe, len(data.train)),
        seed,
    )


def _require_fit(network: Network, data: Dataset, shape: Shape | None, known: tuple[str, ...]) -> None:
    read, gives = network.input, _result(network)
    if shape is not None and read != shape:
        hint = (
            f"`-p {IMAGE}={shape}`"
            if IMAGE in known
            else f"give {network.name} a parameter `{IMAGE}`, and `input {IMAGE}`"
        )
        raise fail("wrong-data", f"{network.name} reads {read}, and {data.name} has {shape}", help=hint)
    if shape is None and not (isinstance(read, Image) and read.channels == 3):
        raise fail("wrong-data", f"{network.name} reads {read}, and {data.name} has images in colour")
    if not isinstance(gives, Vector):
        raise fail(
            "wrong-data",
            f"{network.name} gives {gives}, and a class is chosen from a vector",
            help="end its head with `linear(classes)`",
        )
    if gives.features != len(data.classes):
        hint = f"give {network.name} a parameter `{CLASSES}`, and end it with `linear({CLASSES})`"
        message = f"{network.name} tells {gives.features:,} classes apart, and {data.name} has {len(data.classes):,}"
        raise fail("wrong-data", message, help=f"`-p {CLASSES}={len(data.classes)}`" if CLASSES in known else hint)


def _result(network: Network) -> Shape:
    shape = network.input
    for _, chain in network.sections():
        shape = chain_output(chain, shape)
    return shape
