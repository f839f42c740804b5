"""Which networks stand beside each other: those of a command line, or a set of He et al. 2016 in one word."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from resdsl.diagnostics import fail
from resdsl.train.reproduce.tables import TABLE1, TABLE2, Units, Variant

SETS = ("table1", "table2", "plain")
"""Each shortcut of Table 1 beside identity, each placement of Table 2 beside the original, a plain network beside a residual one."""
DEPTH = 110
BOTTLENECKS = "std/resnet164"
SHORTCUTS = MappingProxyType({
    "resnet110": "identity",
    "plain110": "none",
    "scale_half": "scale(0.5)",
    "scale_half_frozen": "scale(0.5, branch = 0.5)",
    "gate_exclusive_5": "gate(-5, branch = true)",
    "gate_exclusive": "gate(-6, branch = true)",
    "gate_exclusive_7": "gate(-7, branch = true)",
    "gate_shortcut_0": "gate(0)",
    "gate_shortcut": "gate(-6)",
    "conv_shortcut": "conv(1x1)",
    "dropout_shortcut": "dropout(0.5)",
})  # fmt: skip
"""Those of Table 1's networks, for bottlenecks, which the paper did not train with them."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to look at. name: what it is called beside others. spec, network, parameters: as `resdsl.build` takes them."""

    name: str
    spec: str
    network: str | None = None
    parameters: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])


def named_subject(text: str) -> Subject:
    """`SPEC` or `SPEC:NETWORK`. A file of the whole name is a spec."""
    spec, colon, network = text.rpartition(":")
    if not colon or not spec or os.path.exists(text):
        return Subject(text, text)
    return Subject(network or text, spec, network)


def distinct(subjects: Sequence[Subject]) -> list[Subject]:
    """With names that tell them apart: where two have one name, those of their specs before it, then numbers behind it."""
    names = [subject.name for subject in subjects]
    longer = [f"{s.spec}:{s.network}" if names.count(s.name) > 1 and s.network else s.name for s in subjects]
    numbered = [f"{name} ({longer[:i].count(name) + 1})" if longer.count(name) > 1 else name for i, name in enumerate(longer)]  # fmt: skip
    return [Subject(name, s.spec, s.network, s.parameters) for name, s in zip(numbered, subjects, strict=True)]


def subjects_of(name: str, layers: int | None = None) -> list[Subject]:
    """The networks of one of SETS with so many layers, 110 by default: 6n + 2 of basic units or 9n + 2 of bottlenecks.

    Raises SpecError for a depth that is neither.
    """
    depth = DEPTH if layers is None else layers
    units = _units(depth)
    n = (depth - 2) // units.value
    match name:
        case "table1":
            return [_shortcut(variant, units, n) for variant in TABLE1.variants]
        case "plain":
            return [_shortcut(variant, units, n) for variant in TABLE1.variants[:2]]
        case _:
            return [
                Subject(variant.network.removesuffix(str(variant.layers)), variant.spec, variant.network, {"n": n})
                for variant in TABLE2.variants
                if variant.units is units
            ]


def set_title(name: str, layers: int | None = None) -> str:
    """Of one of SETS, for readers."""
    words = {
        "table1": "Shortcuts of Table 1 of He et al. 2016",
        "table2": "Placements of Table 2 of He et al. 2016",
        "plain": "Plain and residual",
    }
    return f"{words[name]}, {DEPTH if layers is None else layers:,} layers"


def _shortcut(variant: Variant, units: Units, n: int) -> Subject:
    name = variant.network.removesuffix(str(variant.layers))
    if units is variant.units:
        return Subject(name, variant.spec, variant.network, {"n": n})
    return Subject(name, BOTTLENECKS, "resnet164", {"n": n, "shortcut": SHORTCUTS[variant.network]})


def _units(layers: int) -> Units:
    """Basic ones where both are possible, which are the paper's for Table 1."""
    for units in (Units.BASIC, Units.BOTTLENECK):
        n, rest = divmod(layers - 2, units.value)
        if rest == 0 and n >= 1:
            return units
    near = sorted(
        {units.layers(max(1, (layers - 2) // units.value + more)) for units in (Units.BASIC, Units.BOTTLENECK) for more in (0, 1)},
        key=lambda each: abs(each - layers),
    )  # fmt: skip
    message = f"basic units make 6n + 2 layers and bottlenecks 9n + 2, and neither makes {layers:,}"
    raise fail("unsupported-option", message, help=f"`--depth {near[0]}` or `--depth {near[1]}`")
