"""A network that is written out and read again is the same network, but for the names of its units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resdsl.network import operators as op
from resdsl.network.network import Network, distinct_units, inner_chains, unit_chains, varies
from resdsl.network.types import Image, Tap, Vector
from resdsl.semantics.expand import expand
from resdsl.semantics.names import walk
from resdsl.semantics.program import Module
from resdsl.spec import build, open_spec
from resdsl.syntax import nodes
from resdsl.syntax.printer import print_file

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.resnet"))
MODULES = {path: open_spec(path) for path in SPECS}

CASES = {
    "convolutions": """
        network n {
            input 4x12x12
            stem  conv(3x3, 8) -> conv(5x3, 8, 2, groups = 4, dilation = 2)
                  -> conv(1x1, 6, bias = true, standardise = true)
            stage conv(2x2, 6, padding = 0) -> conv(2x4, 6, padding = 1x2) -> conv(3x3, 6, padding = 0x1)
            stage conv(3x3, 6, padding = 1, init = he) -> conv(3x3, 6, init = he(gain = 2))
            stage conv(3x3, 6, init = xavier) -> conv(3x3, 6, init = orthogonal(gain = -0.5))
            stage conv(3x3, 6, init = zero)
            head  flatten -> linear(7) -> linear(3, bias = false, init = xavier(gain = 0.01))
        }
    """,
    "norms and activations": """
        network n {
            input 4x6x6
            stage bn -> bn(eps = 1) -> bn(1e-3, 0.01) -> bn(momentum = 1) -> groupnorm(2) -> groupnorm(4, eps = 1e-300)
            stage layernorm -> layernorm(eps = 123456789012345678)
            stage relu -> gelu -> silu -> tanh -> sigmoid
        }
    """,
    "other operators": """
        network n {
            input 4x9x9
            init  xavier
            stage scale(0.5) -> scale(-0.0) -> scale(3, learn = true) -> scale(1e22, learn = true, per_channel = true)
            stage dropout(0.1) -> drop_path(0) -> drop_path(1 / 3, per_sample = false, rescale = false) -> se(2)
            stage se(4, init = zero) -> maxpool(3x3, 2) -> maxpool(3x3, 1, padding = 0)
            stage maxpool(2x2, 1, padding = 0x1) -> avgpool(1x1, 1) -> avgpool(3x3, 1, padding = 1)
            stage pad(9) -> pad(9, 2)
            stage partial(1 / 3) -> partial(2 / 3, conv(1x1, 6) -> bn) -> concat(relu, conv(3x3, 2), identity)
            head  avgpool
        }
    """,
    "settings and placements": """
        network n {
            input 4x8x8
            norm  groupnorm(2)
            act   gelu -> dropout(0.25)
            init  he(gain = 0.5)
            stem  conv(3x3, 8) -> post.post -> norm -> act
            stage 2 * u(8, post) first(init = zero)
            stage 2 * u(12, pre) last(init = orthogonal) first(stride = 2)
            stage 2 * u(16, bn_after_add) first(stride = 2) -> 2 * u(16, relu_before_add) -> u(16, relu_only_pre)
            stage u(16, at(pre = bn, mid = tanh, after = silu))
        }
        unit u(width, placement, stride = 1, init = he) {
            placement  placement
            init       init
            norm       bn if width == 12 else layernorm
            branch     conv(3x3, width, stride) -> concat(conv(1x1, width // 2), conv(3x3, width // 2) -> se(2))
            shortcut   identity
            projection conv(1x1)
        }
    """,
    "nested units": """
        network n {
            input 3x16x16
            stem  conv(3x3, 8)
            stage root(3)
            head  inner(8) -> avgpool -> linear(10)
        }
        unit inner(width, stride = 1, end = relu) {
            branch     conv(3x3, width, stride) -> bn -> relu -> conv(3x3, width) -> bn
            shortcut   identity
            projection conv(1x1) -> bn
            after      end
        }
        unit level(width, n, end = relu) {
            branch   n * inner(width) last(end = identity)
            shortcut conv(1x1) -> bn
            after    end
        }
        unit root(n) {
            branch   level(8, n) -> maxpool(2x2, 2) -> level(16, n) -> maxpool(2x2, 2) -> level(16, n, end = identity)
            shortcut conv(1x1) -> bn
            after    relu
        }
    """,
    "units inside operators": """
        network n {
            input 8x4x4
            stage u -> partial(0.5, 3 * a(8)) -> concat(a(16), 2 * a(16) -> conv(1x1, 3))
        }
        unit a(width) {
            branch   conv(3x3, width)
            shortcut identity
        }
        unit u {
            branch   concat(2 * a(8), identity) -> partial(0.25, a(4) -> relu)
            shortcut concat(identity, partial(0.25, conv(1x1, 2)))
        }
    """,
    "paths of shortcuts": """
        network n {
            input 8x8x8
            stage gated(8) -> gated(16, 2) -> half -> roots(16, 1) -> roots(20, 2)
        }
        unit gated(width, stride = 1) {
            branch     conv(3x3, width, stride) -> bn
            shortcut   gate(-6, branch = true, init = zero)
            projection pad -> gate(bias = 0.5)
        }
        unit half {
            branch   bn -> relu -> conv(3x3, 16)
            shortcut scale(0.5, branch = 0.25, learn = true) -> dropout(0.5) from activated
        }
        unit roots(width, stride) {
            branch     conv(3x3, width, stride)
            shortcut   partial(0.5, conv(1x1, 8) -> bn)
            projection conv(3x3, bias = true) -> se(4)
        }
    """,
    "none": """
        network n {
            input 8x8x8
            stage plain(8) -> plain(12) -> activated_plain -> late(12) -> late(16)
        }
        unit plain(width) {
            branch   conv(3x3, width)
            shortcut none
        }
        unit activated_plain {
            branch   relu -> conv(3x3, 12)
            shortcut none from activated
        }
        unit late(width) {
            branch     conv(3x3, width)
            shortcut   identity
            projection none
        }
    """,
    "pads": """
        network n {
            input 8x9x9
            stage u(8) -> u(8, 2) -> u(12) -> u(16, 2)
            stage pad(16) -> pad(20, 2)
        }
        unit u(width, stride = 1) {
            branch     pad(width) -> conv(3x3, width, stride)
            shortcut   identity
            projection pad
        }
    """,
    "what shortcuts read": """
        network n {
            input 4x12x12
            stage a(identity, input) -> a(identity, activated) -> a(scale(0.5), activated) -> pool -> pool -> leads
        }
        unit a(shortcut, tap) {
            branch   bn -> relu -> conv(3x3, 4) -> bn -> conv(3x3, 4)
            shortcut shortcut from tap
        }
        unit pool {
            branch     maxpool(2x2, 2) -> conv(3x3, 4)
            shortcut   identity
            projection identity
        }
        unit leads {
            branch     relu -> partial(0.5, conv(1x1, 6)) -> concat(relu -> conv(3x3, 6), conv(3x3, 6, 1))
            shortcut   identity
            projection partial(0.5, conv(1x1, 8)) from activated
        }
    """,
    "a projection where identity would fit": """
        network n {
            input 4x6x6
            stage u(conv(1x1, 5)) -> u(maxpool(2x2, 2))
            head  avgpool -> v
        }
        unit u(shortcut) {
            branch     conv(3x3, 4)
            shortcut   shortcut
            projection conv(1x1) from input
        }
        unit v {
            branch     linear(4)
            shortcut   linear(6)
            projection linear -> tanh
        }
    """,
    "vectors": """
        network n {
            input 10
            norm  layernorm
            stem  linear(16)
            stage 3 * u(16)
            stage 2 * u(32)
            stage concat(linear(3), relu) -> partial(1 / 5, linear(14) -> bn) -> pad(64)
            head  linear(1, bias = false) -> sigmoid
        }
        unit u(width) {
            placement  pre
            branch     linear(width) -> linear(width, bias = false)
            shortcut   gate(-1, branch = true)
            projection linear
        }
    """,
    "numbers by index": """
        network n {
            input 4x8x8
            stage 4 * u(4)
            stage 3 * u(8) first(stride = 2)
            stage 2 * twice -> 2 * flat
        }
        unit u(width, stride = 1) {
            branch     conv(3x3, width, stride) -> bn -> drop_path(0.5 * (index + 1) / count)
            shortcut   identity
            projection pad
        }
        unit twice {
            branch   concat(conv(3x3, 4) -> scale(index), conv(3x3, 4) -> scale(1 - position)) -> dropout(index / 100)
            shortcut scale(position, branch = index) -> drop_path(index / 100) -> drop_path(position / 10)
            after    scale(index)
        }
        unit flat {
            branch   conv(3x3, 8)
            shortcut gate(-index, branch = true)
        }
    """,
    "numbers one by one": """
        network n {
            input 4x8x8
            stage 2 * u(0.1) -> u(0.3)
            stage u(0) -> u(0.1) -> 2 * u(0) -> u(0.2) -> relu -> u(0.2) -> u(0.3)
            stage outer(0.5) -> outer(0.25)
            stage p(1) -> p(2)
        }
        unit u(p) {
            branch   conv(3x3, 4) -> drop_path(p)
            shortcut identity
        }
        unit outer(x) {
            branch   u(x) -> p(1) -> p(2) -> dropout(x)
            shortcut scale(x)
        }
        unit p(x) {
            branch   conv(3x3, 4) -> dropout(x / 100)
            shortcut identity
        }
    """,
    "empty parts": """
        network n {
            input 4x8x8
            stage identity
            stage 0 * u
            stage u
        }
        unit u {
            branch   0 * u2
            shortcut identity
        }
        unit u2 {
            branch   relu
            shortcut identity
        }
    """,
    "units of one name": """
        network u_2 {
            input 4x8x8
            stage u(relu) -> u(relu) -> u(gelu) -> u(silu)
            stage u_1 -> gate -> input -> tanh_1 -> u(0 * relu)
        }
        unit u(act) {
            branch   conv(3x3, 4) -> act
            shortcut identity
        }
        unit u_1 {
            branch   bn
            shortcut identity
        }
        unit gate {
            branch   tanh
            shortcut identity
        }
        unit tanh_1 {
            branch   conv(1x1, 4)
            shortcut identity
        }
        unit input {
            branch   relu
            shortcut identity
        }
    """,
}

EXPANDED = {
    "nothing implied": (
        '''
resnet 1

"""A network."""
network n(width = 8) {
    input 3x16x16
    act   gelu
    stem  conv(3x3, width)
    stage 3 * u(width)
    stage 2 * u(2 * width) first(stride = 2)
    head  avgpool -> linear(10)
}

unit u(width, stride = 1) {
    placement  pre
    init       xavier
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   scale(0.5) from activated
    projection pad
}
''',
        '''\
resnet 1

"""A network."""
network n {
    input 3x16x16
    stem  conv(3x3, 8, 1)
    stage 3 * u_1
    stage u_2 -> u_3
    head  avgpool -> linear(10)
}

unit u_1 {
    branch   bn -> gelu -> conv(3x3, 8, 1, init = xavier) -> bn -> gelu -> conv(3x3, 8, 1, init = xavier)
    shortcut scale(0.5) from activated
}

unit u_2 {
    branch     bn -> gelu -> conv(3x3, 16, 2, init = xavier) -> bn -> gelu -> conv(3x3, 16, 1, init = xavier)
    shortcut   identity
    projection pad(16, 2) from activated
}

unit u_3 {
    branch   bn -> gelu -> conv(3x3, 16, 1, init = xavier) -> bn -> gelu -> conv(3x3, 16, 1, init = xavier)
    shortcut scale(0.5) from activated
}
''',
    ),
    "numbers that differ": (
        """
resnet 1

network n {
    input 4x8x8
    stage 4 * u
}

unit u {
    branch   conv(3x3, 4) -> drop_path(index // 2 / 10) -> dropout(0.5)
    shortcut scale(1, branch = 1 - index // 2) -> scale(index) -> drop_path(index // 2 / 10)
    after    scale(-index)
}
""",
        """\
resnet 1

network n {
    input 4x8x8
    stage u(0, 1, 0, 0) -> u(0, 1, 1, -1) -> u(0.1, 0, 2, -2) -> u(0.1, 0, 3, -3)
}

unit u(p, branch, factor_1, factor_2) {
    branch   conv(3x3, 4, 1) -> drop_path(p) -> dropout(0.5)
    shortcut scale(1, branch = branch) -> scale(factor_1) -> drop_path(p)
    after    scale(factor_2)
}
""",
    ),
}


def text_of(case: str) -> str:
    return f"resnet 1\n{CASES[case]}"


def without_names(network: Network) -> Network:
    """The network with names and labels of its units cleared."""
    return replace(
        network,
        stem=_bare(network.stem),
        stages=tuple(map(_bare, network.stages)),
        head=_bare(network.head),
    )


def _bare(chain: op.Chain) -> op.Chain:
    return tuple(map(_bare_element, chain))


def _bare_element(element: op.Element) -> op.Element:
    match element:
        case op.Units(runs=runs):
            return op.Units(tuple(replace(run, unit=_bare_unit(run.unit)) for run in runs))
        case op.Partial(chain=chain):
            return replace(element, chain=_bare(chain))
        case op.Concat(chains=chains):
            return replace(element, chains=tuple(map(_bare, chains)))
        case _:
            return element


def _bare_unit(unit: op.Unit) -> op.Unit:
    return replace(unit, name="", label="", branch=_bare(unit.branch))


def check(network: Network) -> str:
    """Asserts that the network reads back from its expansion, and gives the expansion's text."""
    text = print_file(expand(network))
    again = build(text)
    assert without_names(again) == without_names(network), text
    assert print_file(expand(again)) == text
    return text


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(module, declared.name, id=declared.name)
        for module in MODULES.values()
        for declared in module.networks()
    ],
)
def test_specs(module: Module, name: str) -> None:
    check(build(module.file.source.name, name))


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    check(build(text_of(case)))


@pytest.mark.parametrize("case", EXPANDED)
def test_text(case: str) -> None:
    written, expanded = EXPANDED[case]
    assert check(build(written)) == expanded


def test_cases_use_every_operator() -> None:
    used = {type(found) for case in CASES for _, chain in build(text_of(case)).sections() for found in operators(chain)}
    assert used == set(op.OPERATORS.values())


def operators(chain: op.Chain) -> Iterator[op.Operator]:
    """All operators of a chain, also those in units."""
    for element in chain:
        if isinstance(element, op.Units):
            inner = [part for run in element.runs for part in unit_chains(run.unit)]
        else:
            yield element
            inner = list(inner_chains(element))
        for part in inner:
            yield from operators(part)


def test_copies_that_differ_become_one_run_again() -> None:
    network = build(text_of("numbers by index"))
    again = build(print_file(expand(network)))
    units = again.stages[0][0]
    assert isinstance(units, op.Units)
    assert [run.count for run in units.runs] == [4]
    assert varies(units.runs[0].unit)


def test_each_distinct_unit_is_declared_once() -> None:
    network = build(str(SPECS[-1].with_name("resnet164.resnet")), "preact1001")
    units = [item for item in expand(network).items if isinstance(item, nodes.Unit)]
    assert len(units) == len(distinct_units(network)) == 6


def test_units_that_were_only_called_differently_are_one() -> None:
    spec = "resnet 1\nnetwork n { input 4x8x8 stage u stage u(4) stage u(width = 4, stride = 1) }\n"
    spec += "unit u(width = 4, stride = 1) { branch conv(3x3, width, stride) shortcut identity }\n"
    text = check(build(spec))
    assert text.count("unit u") == 1
    assert text.count("stage u\n") == 3


def test_names_mean_what_they_say() -> None:
    file = expand(build(text_of("units of one name")))
    names = [item.name.name for item in file.items if isinstance(item, nodes.Unit | nodes.Network)]
    assert names == ["u_2", "u_3", "u_4", "u_5", "u_1", "gate_1", "input_1", "tanh_1", "u_6"]


def test_a_network_named_like_an_operator_it_needs() -> None:
    unit = op.Unit("u", "", Image(4, 8, 8), Image(4, 8, 8), (op.Relu(),), op.Shortcut(Tap.INPUT, ()), ())
    network = Network("relu", "", unit.input, (), ((op.Units((op.Run(2, unit),)),),), ())
    again = build(print_file(expand(network)))
    assert again.name == "relu_1"
    assert without_names(again) == without_names(replace(network, name="relu_1"))
    kept = replace(network, name="gelu")
    assert build(print_file(expand(kept))).name == "gelu"


@pytest.mark.parametrize("name", ["if", "true", "none", "p", "avgpool"])
def test_names_that_the_language_uses(name: str) -> None:
    shape = Image(4, 8, 8)
    unit = op.Unit(name, "", shape, shape, (op.DropPath((0.25, 0.5)),), op.Shortcut(Tap.INPUT, None, True), ())
    outer = op.Unit(
        name, "x", shape, shape, (op.Units((op.Run(2, unit),)), op.Dropout(0.5)), op.Shortcut(Tap.INPUT, ()), ()
    )
    network = Network(name, "", shape, (), ((op.Units((op.Run(1, outer),)),),), ())
    again = build(print_file(expand(network)))
    assert replace(without_names(again), name=name) == without_names(network)


@pytest.mark.parametrize(
    ("doc", "kept"),
    [('ends with "quotes"', 'ends with "quotes"'), ("a\nb", "a\nb"), (' a\n   """b"""\n', "a\n'''b'''")],
)
def test_docstrings(doc: str, kept: str) -> None:
    network = Network("n", doc, Image(4, 8, 8), (op.Relu(),), (), ())
    assert build(print_file(expand(network))).doc == kept


@pytest.mark.parametrize("channels", [1, 3, 7, 49, 4099, (1 << 24) - 3, 1 << 24])
def test_any_part_of_the_channels_reads_back(channels: int) -> None:
    for part in {1, channels // 3 or 1, channels // 2 or 1, channels - 1 or 1, channels}:
        network = Network("n", "", Vector(channels), (op.Partial(part, ()),), (), ())
        check(network)


@pytest.mark.parametrize(
    "number", [0.1, 1 / 3, 5e-324, 1e-5, -2.5, 123456789.0, 1e15, 1e16, 1e22, 3.4028234663852886e38]
)
def test_any_number_reads_back(number: float) -> None:
    network = Network("n", "", Vector(4), (op.Scale(number),), (), ())
    check(network)


def test_no_parameter_but_for_copies_and_no_setting() -> None:
    for case in CASES:
        network = build(text_of(case))
        varying = {unit for unit in distinct_units(network) if varies(unit)}
        file = expand(network)
        units = [item for item in file.items if isinstance(item, nodes.Unit)]
        assert bool(varying) == any(unit.parameters for unit in units)
        for item in file.items:
            assert isinstance(item, nodes.Unit | nodes.Network)
            for clause in item.body:
                assert isinstance(clause, nodes.Clause)
                assert clause.kind.value not in ("placement", "norm", "act", "init")
                assert not any(isinstance(node, nodes.Overridden | nodes.Attribute) for node in walk(clause.value))
