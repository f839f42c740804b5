"""The schema of clean paths, the rules about it, and what a clean path is in plain words: all three say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from resdsl.diagnostics import SpecError
from resdsl.linter.run import build_networks, lint_source
from resdsl.linter.select import Selection
from resdsl.linter.subject import LintedFile
from resdsl.linter.table import BY_NAME, RULES
from resdsl.network import operators as op
from resdsl.network.document import to_json
from resdsl.network.network import Network, inner_chains
from resdsl.network.types import Tap
from resdsl.source import Source
from resdsl.spec import Options, open_spec
from tests.bad_input import units_in_units
from tests.networks import SPECS

VALIDATOR = Draft202012Validator(
    json.loads(resources.files("resdsl.network.schema").joinpath("clean-path.schema.json").read_text("utf-8"))
)
ABOUT_PATHS = [BY_NAME[f"SC{number:03}"] for number in range(1, 11)] + [
    BY_NAME[code] for code in ("AD001", "AD002", "AD005")
]


def files_of(file: LintedFile) -> Iterator[LintedFile]:
    """A file for each of its networks, as if it had no other."""
    return (replace(file, networks=[network]) for network in file.networks)


def schema_accepts(network: Network) -> bool:
    """As another tool would ask: with the document's text and a validator that knows nothing of resdsl."""
    return VALIDATOR.is_valid(json.loads(to_json(network)))


def rules_are_silent(file: LintedFile) -> bool:
    return not any(True for rule in ABOUT_PATHS for _ in rule.check(file))


def is_clean(network: Network) -> bool:
    """Every unit adds its branch to what it reads, and gives the sum.

    Where the shape changes the shortcut may be anything but nothing. The network's first unit may read what its branch
    has activated, if it stands at the head of the first stage.
    """
    shared = None
    if network.stages and network.stages[0] and not list(units_in(network.stem)):
        match network.stages[0][0]:
            case op.Units(runs=(op.Run(count=1, unit=unit), *_)):
                shared = unit
            case _:
                pass
    standing = [unit for _, chain in network.sections() for unit in units_in(chain)]
    return all(is_clean_unit(unit, shares=number == 0 and unit is shared) for number, unit in enumerate(standing))


def is_clean_unit(unit: op.Unit, *, shares: bool) -> bool:
    if unit.after or unit.shortcut.chain is None:
        return False
    if unit.input != unit.output:
        return True
    does_nothing = all(
        isinstance(element, op.Scale) and not element.learn and element.factor == 1 for element in unit.shortcut.chain
    )
    return does_nothing and (unit.shortcut.tap is Tap.INPUT or shares)


def units_in(chain: op.Chain) -> Iterator[op.Unit]:
    """Those around others first, each run once."""
    for element in chain:
        if isinstance(element, op.Units):
            for run in element.runs:
                yield run.unit
                yield from units_in(run.unit.branch)
        else:
            for inner in inner_chains(element):
                yield from units_in(inner)


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.resnet")), ids=lambda path: path.stem)
def test_networks_of_the_papers(path: str) -> None:
    file, errors = build_networks(open_spec(path), Options())
    assert errors == []
    assert file.networks
    for alone in files_of(file):
        network = alone.networks[0].network
        verdicts = schema_accepts(network), rules_are_silent(alone), is_clean(network)
        assert len(set(verdicts)) == 1, (network.name, verdicts)


KEEPING = st.sampled_from(
    [
        *(
            "identity",
            "none",
            "scale(1)",
            "scale(1, branch = 0.5)",
            "scale(1, learn = true)",
            "scale(0.5)",
            "pad",
            "relu",
        ),
        *("gate(-3)", "gate(-3, branch = true)", "dropout(0.5)", "dropout(0)", "drop_path(0.1)", "bn", "act", "norm"),
        *(
            "partial(0.5)",
            "partial(1.0, scale(1))",
            "tanh",
            "se(2)",
            "maxpool(3x3, 1)",
            "concat(identity)",
            "bn -> relu",
        ),
        *("concat(partial(0.5))", "conv(1x1)", "conv(1x1) -> bn", "conv(3x3, width)", "scale(1) -> scale(1.0)"),
        *("scale(2) -> scale(0.5)", "scale(1) -> dropout(0.5)", "none if stride > 1 else identity", "scale(1 + index)"),
        *("scale(1) if count > 3 else relu", "2 * scale(1)", "placement.post"),
    ]
)
"""What may stand on a shortcut where no shape changes; some of them are clean, or look so."""
PLACEMENTS = st.sampled_from(
    [
        "post",
        "bn_after_add",
        "relu_before_add",
        "relu_only_pre",
        "pre",
        "at()",
        "at(pre=act,mid=norm)",
        "at(after=scale(1))",
    ]
)
PROJECTIONS = st.sampled_from(["conv(1x1)", "pad", "none", "pad -> scale(0.5)", "conv(1x1) -> bn -> relu", "shortcut"])
AFTERS = st.sampled_from(
    ["", "", "identity", "relu", "bn -> relu", "scale(0.5)", "scale(1)", "dropout(0.1)", "se(2)", "conv(1x1, width)"]
)
SETTINGS = st.sampled_from(["", "", "norm identity", "act gelu", "norm identity act identity"])
LEAVES = [
    "conv(3x3, width, stride) -> conv(3x3, width)",
    "bn -> relu -> conv(3x3, width, stride)",
    "relu -> concat(conv(1x1, width // 2, stride), conv(3x3, width // 2, stride) -> relu)",
]
HOLDERS = [
    "conv(3x3, width, stride) -> 2 * {}(width)",
    "{}(width, stride = stride) -> {}(width) first(tap = activated)",
    "relu -> concat({}(width // 2, stride = stride), conv(1x1, width // 2, stride))",
    "bn -> relu -> conv(3x3, width, stride) -> relu -> {}(width) -> {}(width)",
]
CALLS = ["{u}({w})", "3 * {u}({w})", "3 * {u}({w}) first(tap = activated)", "{u}({w}, tap = activated) -> {u}({w})"]
CHANGES = ["2 * {u}({w}) first(stride = 2)", "{u}({w}, stride = 2)", "conv(1x1, {w}, 2) -> 2 * {u}({w})"]
AROUND = ["{}", "{}", "{}", "relu -> {}", "{} -> relu", "scale(1) -> {}", "concat({}, identity) -> conv(1x1, {{w}})"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Specs with a network of up to three stages, of units of every kind, some in each other."""
    names: list[str] = []
    units: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        inner = st.sampled_from(names) if names else st.nothing()
        branch = draw(st.sampled_from([*LEAVES, *HOLDERS] if names else LEAVES))
        branch = branch.format(*(draw(inner) for _ in range(branch.count("{}"))))
        shortcut, after = draw(KEEPING), draw(AFTERS)
        tap = draw(st.sampled_from(["", "", " from tap", " from input", " from activated"]))
        names.append(f"u{number}")
        units.append(
            f"unit u{number}(width, stride = 1, tap = input, placement = {draw(PLACEMENTS)}, shortcut = identity) {{\n"
            f"  placement placement {draw(SETTINGS)}\n  branch {branch}\n"
            f"  shortcut {draw(st.sampled_from([shortcut, shortcut, 'shortcut']))}{tap}\n"
            f"  projection {draw(PROJECTIONS)}\n{f'  after {after}' if after else ''}\n}}"
        )
    stages: list[str] = []
    width = 8
    for number in range(draw(st.integers(0, 3))):
        changes = number > 0 and draw(st.booleans())
        width = 2 * width if changes else width
        call = draw(st.sampled_from(CHANGES if changes else CALLS))
        stage = draw(st.sampled_from(AROUND)).format(call).format(u=draw(st.sampled_from(names)), w=width)
        stages.append(f"  stage {stage}")
    stem = draw(st.sampled_from(["", "", " -> bn -> relu", f" -> {names[0]}(8)", f" -> concat({names[0]}(8))"]))
    head = draw(st.sampled_from(["avgpool", f"{names[-1]}({width}) -> avgpool"]))
    network = [f"network n {{\n  input 4x8x8\n  stem conv(3x3, 8){stem}", *stages, f"  head {head} -> linear(10)\n}}"]
    return "\n".join(["resnet 1", *units, *network, ""])


@settings(max_examples=300, deadline=None)
@given(texts())
def test_random_networks(text: str) -> None:
    try:
        file, errors = build_networks(open_spec(text), Options())
    except SpecError as error:
        raise AssertionError(f"{text}\n{error}") from None
    assume(not errors)  # a unit that changes the shape may find no projection
    network = file.networks[0].network
    assert (schema_accepts(network), rules_are_silent(file)) == (is_clean(network),) * 2
    everything(text)


FIRST = "unit u(tap = input) { placement pre branch conv(3x3, 8) shortcut identity from tap }"
SHARES = "2 * u first(tap = activated)"


@pytest.mark.parametrize(
    ("sections", "clean"),
    [
        (f"stage {SHARES} head conv(1x1, 8) -> u", True),
        ("stage u(activated) -> u(activated)", False),
        (f"stage u stage {SHARES}", False),
        (f"stem conv(3x3, 8) -> concat(relu, relu) -> conv(1x1, 8) stage {SHARES}", True),
        (f"stem u stage {SHARES}", False),
        (f"stem concat(conv(1x1, 8) -> u) stage {SHARES}", False),
        (f"stage concat({SHARES})", False),
        (f"head {SHARES}", False),
    ],
)
def test_what_the_first_unit_may_share(sections: str, clean: bool) -> None:
    """Its first activation, where no unit stands before it."""
    file, _ = build_networks(open_spec(f"resnet 1\nnetwork n {{ input 8x8x8 {sections} }}\n{FIRST}\n"), Options())
    network = file.networks[0].network
    assert [schema_accepts(network), rules_are_silent(file), is_clean(network)] == [clean] * 3


def everything(text: str) -> list[str]:
    """All that all rules find in a text without errors."""
    found = lint_source(Source("deep", text), None, Selection(tuple(rule.code for rule in RULES)), Options())
    assert all(diagnostic.name for diagnostic in found), [diagnostic.render() for diagnostic in found]
    return [diagnostic.name for diagnostic in found]


def test_units_as_deep_in_each_other_as_may_be() -> None:
    network = "network n { input 3x8x8 stage 2 * v0 }"
    clean = f"resnet 1\n{network}\n{units_in_units(31)}\n"
    assert not {rule.name for rule in ABOUT_PATHS} & set(everything(clean))
    assert "shortcut-scale" in everything(clean.replace("relu shortcut identity", "relu shortcut scale(0.5)"))


def test_chains_as_deep_in_each_other_as_may_be() -> None:
    deep = f"{'partial(1.0, ' * 31}scale(0.5){')' * 31}"
    wide = f"{'concat(' * 30}u -> relu -> u{')' * 30}"
    text = f"""resnet 1
network n {{ input 4x8x8 stage 3 * v -> {wide} }}
unit u {{ branch relu shortcut identity }}
unit v {{ branch {wide} shortcut {deep} }}
"""
    assert {"shortcut-partial", "operator-between-units"} <= set(everything(text))
