"""Every network of specs/ that the tests walk over, with smaller variants of the big ones for the fast loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from resdsl.network.network import Network
from resdsl.spec import Parameter, build, open_spec

SPECS = Path(__file__).parent.parent / "specs"


@dataclass(frozen=True)
class Case:
    """A network of a spec; `smaller` are the parameters that make it quick to run."""

    file: str
    network: str
    smaller: dict[str, Parameter] = field(default_factory=dict)

    def build(self, *, full: bool = True) -> Network:
        return build(SPECS / self.file, self.network, {} if full else self.smaller)

    @property
    def name(self) -> str:
        return f"{self.file.removesuffix('.resnet')}:{self.network}"


SMALLER: dict[str, dict[str, Parameter]] = {"imagenet.resnet": {"image": (3, 64, 64)}}


def cases() -> Iterator[Case]:
    for path in sorted(SPECS.glob("*.resnet")):
        for declared in open_spec(path).networks():
            yield Case(path.name, declared.name, SMALLER.get(path.name, {}))


CASES = list(cases())


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
}
"""The networks that `make test` runs in every target: each operator and placement once. The gate runs all."""


def is_big(case: Case) -> bool:
    """Has weights of hundreds of megabytes, or hundreds of units."""
    return "1001" in case.network or case.file == "imagenet.resnet"


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
