"""Every network of specs/ that the tests walk over, with smaller variants of the big ones for the fast loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from resdsl.network.costs import summarise
from resdsl.network.network import Network, count_units
from resdsl.network.types import Image
from resdsl.spec import Parameter, build, open_spec

SPECS = Path(__file__).parent.parent / "specs"
CIFAR = Image(3, 32, 32)
SMALL_CIFAR: dict[str, Parameter] = {"image": (3, 16, 16)}
"""Maps of 16x16, 8x8 and 4x4: no layer has other numbers than on 32x32."""
AMPLIFIES = {"plain110"}
"""Without shortcuts, rounding grows from layer to layer, and on fewer pixels so far that float64 shows it."""


@dataclass(frozen=True)
class Case:
    """A network of a spec."""

    file: str
    network: str

    def build(self, *, full: bool = True) -> Network:
        """The network; not full: for ImageNet on smaller images, as docs/verification.md has them all."""
        network = build(SPECS / self.file, self.network)
        return network if full else build(SPECS / self.file, self.network, smaller(network))

    def small(self) -> Network:
        """The network on images that are quick to run, with the same layers and more than one pixel in every map."""
        network = build(SPECS / self.file, self.network)
        return build(SPECS / self.file, self.network, small_image(network))

    @property
    def name(self) -> str:
        return f"{self.file.removesuffix('.resnet')}:{self.network}"


def smaller(network: Network) -> dict[str, Parameter]:
    """The parameters that make a network for ImageNet quick to run: the least image that its stages leave something of."""
    if not isinstance(network.input, Image) or network.input.height <= 64:
        return {}
    return {"image": (3, 139, 139) if network.name.startswith("inception") else (3, 64, 64)}


def small_image(network: Network) -> dict[str, Parameter]:
    """The parameters that make a network quick to run: those of `smaller`, and for CIFAR a quarter of the pixels."""
    return SMALL_CIFAR if network.input == CIFAR and network.name not in AMPLIFIES else smaller(network)


CASES = [
    Case(path.name, declared.name) for path in sorted(SPECS.glob("*.resnet")) for declared in open_spec(path).networks()
]


IN_THE_FAST_LOOP = {
    "resnet110",
    "plain110",
    "scale_half_frozen",
    "gate_exclusive",
    "conv_shortcut",
    "preact110",
    "relu_before_add110",
    "preact110_1layer",
    "preact164",
    "bn_after_add164",
    "highway10",
    "ror3_56",
    "seresnet20",
    "shortcut3_pre",
    "skipinit_16_4",
}
"""The networks that `make test` runs in every target; tests/golden has every operator besides. The gate runs all."""


def is_big(network: Network) -> bool:
    """Has weights of a hundred megabytes, or hundreds of units."""
    return summarise(network).costs.parameters > 20_000_000 or sum(map(count_units, network.stages)) > 300


def all_networks(*, runs_them: bool = False) -> pytest.MarkDecorator:
    """Parametrises a test over every network of specs/; where it runs them, most are marked slow."""
    parameters: list[ParameterSet] = [
        pytest.param(
            case, id=case.name, marks=[pytest.mark.slow] if runs_them and case.network not in IN_THE_FAST_LOOP else []
        )
        for case in CASES
        if not (runs_them and case.network.endswith("_320"))  # networks of the same file at another image size
    ]
    return pytest.mark.parametrize("case", parameters)
