"""Which networks a set of He et al. 2016 has, in one word."""

from __future__ import annotations

from types import MappingProxyType

from resdsl.analysis.report.subjects import Subject
from resdsl.diagnostics import fail
from resdsl.train.reproduce.tables import TABLE1, TABLE2, Figure, Units, Variant

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


def subjects_of(name: str, layers: int | None = None) -> list[Subject]:
    """The networks of one of resdsl.analysis.report.subjects.SETS with so many layers, 110 by default: 6n + 2 of basic units or 9n + 2 of bottlenecks.

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
                Subject(_name(variant), variant.spec, variant.network, {"n": n}, _paper(variant, units, n))
                for variant in TABLE2.variants
                if variant.units is units
            ]


def set_title(name: str, layers: int | None = None) -> str:
    """Of a set, for readers."""
    words = {
        "table1": "Shortcuts of Table 1 of He et al. 2016",
        "table2": "Placements of Table 2 of He et al. 2016",
        "plain": "Plain and residual",
    }
    return f"{words[name]}, {DEPTH if layers is None else layers:,} layers"


def _shortcut(variant: Variant, units: Units, n: int) -> Subject:
    if units is variant.units:
        return Subject(_name(variant), variant.spec, variant.network, {"n": n}, _paper(variant, units, n))
    return Subject(_name(variant), BOTTLENECKS, "resnet164", {"n": n, "shortcut": SHORTCUTS[variant.network]})


def _name(variant: Variant) -> str:
    return variant.network.removesuffix(str(variant.layers))


def _paper(variant: Variant, units: Units, n: int) -> Figure | None:
    """None for a network of another depth than the paper's."""
    return variant.figure if (units, units.layers(n)) == (variant.units, variant.layers) else None


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
