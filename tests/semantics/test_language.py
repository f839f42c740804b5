"""What the words of the language mean, one by one, told by the expanded network."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.network import operators as op
from resdsl.network.costs import summarise
from resdsl.network.network import Network
from resdsl.network.types import He, Orthogonal, Tap, Xavier, Zero
from resdsl.semantics.evaluate import CALL_NAMES, OTHER_NAMES, VALUE_NAMES
from resdsl.semantics.expand import expand
from resdsl.spec import Options, build
from resdsl.syntax.printer import print_file


def network(body: str, units: str = "", **parameters: str) -> Network:
    return build(f"resnet 1\nnetwork n(x = 0) {{\n{body}\n}}\n{units}\n", parameters=parameters)


def unit(body: str, *, image: str = "8x8x8", width: str = "8") -> op.Unit:
    """The only unit of a network whose one stage is `u(width)` on an 8x8x8 image."""
    built = network(f"input {image}\nstage u({width})", f"unit u(width) {{\n{body}\n}}")
    (element,) = built.stages[0]
    assert isinstance(element, op.Units)
    (run,) = element.runs
    return run.unit


def kinds(chain: op.Chain | None) -> str:
    assert chain is not None
    return " ".join("units" if isinstance(part, op.Units) else op.OPERATOR_NAMES[type(part)] for part in chain)


def failing(body: str, units: str = "", **parameters: str) -> str:
    with pytest.raises(SpecError) as caught:
        network(body, units, **parameters)
    return str(caught.value)


@pytest.mark.parametrize(
    ("placement", "branch", "shortcut", "after"),
    [
        ("post", "conv bn relu conv bn", "conv bn", "relu"),
        ("bn_after_add", "conv bn relu conv", "conv", "bn relu"),
        ("relu_before_add", "conv bn relu conv bn relu", "conv bn relu", ""),
        ("relu_only_pre", "relu conv bn relu conv bn", "conv bn", ""),
        ("pre", "bn relu conv bn relu conv", "conv", ""),
        ("at()", "conv conv", "conv", ""),
        ("at(mid = act, after = norm -> norm)", "conv relu conv", "conv", "bn bn"),
    ],
)
def test_placements_are_four_chains(placement: str, branch: str, shortcut: str, after: str) -> None:
    made = unit(f"placement {placement}\nbranch conv(3x3, 8) -> conv(3x3, 8)\nshortcut conv(1x1)")
    assert (kinds(made.branch), kinds(made.shortcut.chain), kinds(made.after)) == (branch, shortcut, after)


def test_without_placement_the_branch_is_what_is_written() -> None:
    made = unit("branch bn -> conv(3x3, 8) -> conv(3x3, 8)\nshortcut conv(1x1)")
    assert (kinds(made.branch), kinds(made.shortcut.chain), kinds(made.after)) == ("bn conv conv", "conv", "")


def test_after_clause_replaces_the_placements() -> None:
    assert kinds(unit("placement post\nbranch conv(3x3, 8)\nshortcut identity\nafter tanh").after) == "tanh"
    assert kinds(unit("placement post\nbranch conv(3x3, 8)\nshortcut identity\nafter identity").after) == ""


def test_placement_inside_concat_knows_what_follows() -> None:
    made = unit(
        "placement post\nbranch concat(conv(1x1, 4), conv(1x1, 2) -> conv(3x3, 4)) -> conv(1x1, 8)\nshortcut identity"
    )
    concat = made.branch[0]
    assert isinstance(concat, op.Concat)
    assert [kinds(chain) for chain in concat.chains] == ["conv bn relu", "conv bn relu conv bn relu"]
    assert kinds(made.branch[1:]) == "conv bn"
    last = unit("placement post\nbranch conv(1x1, 8) -> concat(conv(1x1, 4), conv(3x3, 4))\nshortcut identity").branch
    assert kinds(last[:3]) == "conv bn relu"
    assert isinstance(last[3], op.Concat)
    assert [kinds(chain) for chain in last[3].chains] == ["conv bn", "conv bn"]


def test_norm_and_act_take_the_innermost_setting() -> None:
    built = network(
        "input 8x8x8\nnorm groupnorm(2)\nact silu\nstem norm -> act\nstage u -> v",
        "unit u { branch conv(3x3, 8) -> norm -> act shortcut identity }\n"
        "unit v { norm layernorm branch w -> norm -> act shortcut identity }\n"
        "unit w { act gelu branch conv(3x3, 8) -> norm -> act shortcut identity }",
    )
    assert kinds(built.stem) == "groupnorm silu"
    (units,) = built.stages[0]
    assert isinstance(units, op.Units)
    u, v = (run.unit for run in units.runs)
    assert kinds(u.branch) == "conv groupnorm silu"
    assert kinds(v.branch) == "units layernorm silu"
    assert isinstance(v.branch[0], op.Units)
    assert kinds(v.branch[0].runs[0].unit.branch) == "conv layernorm gelu"


def test_init_takes_the_innermost_setting() -> None:
    built = network(
        "input 8x8x8\ninit orthogonal\nstem conv(1x1, 8) -> conv(1x1, 8, init = zero)\nstage u",
        "unit u { init xavier(gain = 0.5) branch conv(3x3, 8) shortcut conv(1x1, init = he(gain = 2)) }",
    )
    assert [part.init for part in built.stem if isinstance(part, op.Conv)] == [Orthogonal(), Zero()]
    (units,) = built.stages[0]
    assert isinstance(units, op.Units)
    made = units.runs[0].unit
    assert isinstance(made.branch[0], op.Conv)
    assert made.branch[0].init == Xavier(0.5)
    assert made.shortcut.chain is not None
    assert isinstance(made.shortcut.chain[0], op.Conv)
    assert made.shortcut.chain[0].init == He(2.0)


def test_projection_only_where_the_shape_changes() -> None:
    body = "branch conv(3x3, width, {})\nshortcut identity\nprojection conv(1x1)"
    same, wider = unit(body.format(1)), unit(body.format(2), width="16")
    assert same.shortcut == op.Shortcut(Tap.INPUT, (), projection=False)
    assert wider.shortcut.projection
    assert wider.shortcut.chain == (op.Conv((1, 1), 16, 2),)
    assert wider.changes_shape
    assert not same.changes_shape


def test_a_shortcut_that_fits_needs_no_projection() -> None:
    made = unit("branch conv(3x3, 16, 2)\nshortcut conv(1x1)\nprojection pad")
    assert made.shortcut == op.Shortcut(Tap.INPUT, (op.Conv((1, 1), 16, 2),), projection=False)
    nothing = unit("branch conv(3x3, 16, 2)\nshortcut none")
    assert nothing.shortcut.chain is None


@pytest.mark.parametrize(("image", "stride"), [("8x8x8", 2), ("8x7x7", 2), ("8x9x6", 3), ("8x1x1", 4)])
def test_strides_are_fitted(image: str, stride: int) -> None:
    made = unit(f"branch conv(3x3, 16, {stride})\nshortcut identity\nprojection pad", image=image)
    pad = made.shortcut.chain
    assert pad is not None
    assert pad == (op.Pad(16, 1 if image == "8x1x1" else stride),)


def test_a_chain_is_fitted_where_it_leaves_something_open() -> None:
    made = unit("branch conv(3x3, 16, 2)\nshortcut identity\nprojection avgpool(2x2, 2) -> conv(1x1)")
    assert made.shortcut.chain == (op.AvgPool((2, 2), 2), op.Conv((1, 1), 16))
    dilated = unit("branch conv(3x3, 16, 2)\nshortcut identity\nprojection pad(12, 1) -> conv(1x1) -> bn")
    assert kinds(dilated.shortcut.chain) == "pad conv bn"


def test_idle_pads_vanish() -> None:
    assert unit("branch conv(3x3, 8)\nshortcut pad -> scale(0.5)").shortcut.chain == (op.Scale(0.5),)


def test_activated_is_what_the_first_weight_layer_reads() -> None:
    made = unit("placement pre\nbranch conv(3x3, 8)\nshortcut identity from activated")
    assert made.shortcut.tap is Tap.ACTIVATED
    assert made.lead == 2
    plain = unit("placement post\nbranch conv(3x3, 8)\nshortcut identity from activated")
    assert plain.shortcut.tap is Tap.INPUT, "with nothing leading, both are the input"
    projected = unit("placement pre\nbranch conv(3x3, 16)\nshortcut identity\nprojection conv(1x1)")
    assert projected.shortcut.tap is Tap.ACTIVATED
    raw = unit("placement pre\nbranch conv(3x3, 16)\nshortcut identity\nprojection conv(1x1) from input")
    assert raw.shortcut.tap is Tap.INPUT


UNIT = "unit u(width, stride = 1, end = relu) { branch conv(3x3, width, stride) shortcut identity projection pad after end }"


def runs(built: Network) -> list[tuple[int, str]]:
    (units,) = built.stages[0]
    assert isinstance(units, op.Units)
    return [(run.count, run.unit.label) for run in units.runs]


def test_repetition_stays_repetition() -> None:
    assert runs(network("input 8x8x8\nstage 500 * u(8)", UNIT)) == [(500, "u(8)")]
    assert runs(network("input 4x8x8\nstage 500 * u(8)", UNIT)) == [(1, "u(8)"), (499, "u(8)")]
    assert runs(network("input 8x8x8\nstage 2 * u(8) -> 3 * u(8)", UNIT)) == [(5, "u(8)")]


def test_first_and_last_override_one_copy() -> None:
    built = network("input 8x8x8\nstage 5 * u(8) first(stride = 2) last(end = identity)", UNIT)
    assert runs(built) == [(1, "u(8, stride = 2)"), (3, "u(8)"), (1, "u(8, end = identity)")]
    only = network("input 8x8x8\nstage 1 * u(8) first(stride = 2) last(end = identity)", UNIT)
    assert runs(only) == [(1, "u(8, stride = 2, end = identity)")]
    assert "both set `stride`" in failing("input 8x8x8\nstage 1 * u(8) first(stride = 2) last(stride = 1)", UNIT)


def test_zero_copies_are_the_identity() -> None:
    assert network("input 8x8x8\nstage 0 * u(8) first(stride = 2)\nstem 0 * u(8) -> relu", UNIT).stages == ((),)


def test_index_count_and_position() -> None:
    drop = "unit d { branch conv(3x3, 8) -> drop_path(0.5 * (index + 1) / count) -> scale(position) shortcut identity }"
    built = network("input 8x8x8\nstage 2 * d\nstage 2 * d", drop)
    first, second = (stage[0] for stage in built.stages)
    assert isinstance(first, op.Units)
    assert isinstance(second, op.Units)
    assert len(first.runs) == len(second.runs) == 1, "units that differ in such a value stay one repetition"
    assert first.runs[0].unit.branch[1:] == (op.DropPath((0.125, 0.25)), op.Scale((0.0, 1 / 3)))
    assert second.runs[0].unit.branch[1:] == (op.DropPath((0.375, 0.5)), op.Scale((2 / 3, 1.0)))


def test_values_of_the_place_pass_through_parameters() -> None:
    """Written in the network, evaluated where the unit stands."""
    units = "unit d(drop = identity) { branch conv(3x3, 8) -> drop shortcut identity }"
    built = network("input 8x8x8\nlet rate = (index + 1) / (2 * count)\nstage 2 * d(drop = drop_path(rate))", units)
    (element,) = built.stages[0]
    assert isinstance(element, op.Units)
    assert element.runs[0].unit.branch[1] == op.DropPath((0.25, 0.5))


def test_structure_may_depend_on_the_place() -> None:
    units = "unit d { branch conv(3x3, 8) -> (relu if index % 2 == 0 else identity) shortcut identity }"
    built = network("input 8x8x8\nstage 3 * d", units)
    (element,) = built.stages[0]
    assert isinstance(element, op.Units)
    assert [kinds(run.unit.branch) for run in element.runs] == ["conv relu", "conv", "conv relu"]


def test_units_in_units_count_the_inner_ones() -> None:
    units = (
        "unit inner { branch conv(3x3, 8) -> drop_path(index / count) shortcut identity }\n"
        "unit outer { branch 2 * inner shortcut identity }"
    )
    built = network("input 8x8x8\nstage 3 * outer", units)
    assert summarise(built).units == 6
    (element,) = built.stages[0]
    assert isinstance(element, op.Units)
    seen = [inner.runs[0].unit.branch[1] for run in element.runs if isinstance(inner := run.unit.branch[0], op.Units)]
    assert seen == [op.DropPath((0.0, 1 / 6)), op.DropPath((2 / 6, 3 / 6)), op.DropPath((4 / 6, 5 / 6))]


@pytest.mark.parametrize(
    ("expression", "channels"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("2 ** 3 ** 2 // 64", 8),
        ("-2 ** 2 + 20", 16),
        ("17 % 10", 7),
        ("8 if 1 < 2 and not false else 4", 8),
        ("8 if 1 > 2 or false else 4", 4),
        ("8 if 3x3 == 3x3 else 4", 8),
        ("8 if identity == identity else 4", 8),
        ("8 if true == 1 else 4", 4),
        ("8 if pre == post else 4", 4),
        ("width", 24),
    ],
)
def test_expressions(expression: str, channels: int) -> None:
    built = network(f"input 8x8x8\nlet width = 2 * half\nlet half = 12\nstem conv(1x1, {expression})")
    assert isinstance(built.stem[0], op.Conv)
    assert built.stem[0].channels == channels


def test_parameters_are_operators_chains_placements_and_taps() -> None:
    text = """resnet 1
network n(shortcut = identity, placement = post, tap = input, wide = false, image = 8x8x8) {
    input image
    stage u(shortcut, placement, tap, 16 if wide else 8)
}
unit u(shortcut, placement, tap, width) {
    placement placement
    branch conv(3x3, width)
    shortcut shortcut from tap
    projection pad -> shortcut
}
"""
    made = build(
        text,
        parameters={
            "shortcut": "scale(0.5) -> dropout(0.1)",
            "placement": "at(pre = act)",
            "tap": "activated",
            "wide": True,
            "image": (8, 4, 4),
        },
    )
    (element,) = made.stages[0]
    assert isinstance(element, op.Units)
    found = element.runs[0].unit
    assert kinds(found.branch) == "relu conv"
    assert kinds(found.shortcut.chain) == "pad scale dropout"
    assert str(found.output) == "16x4x4"


def test_aliases_keep_the_parameters_they_do_not_set() -> None:
    text = """resnet 1
network base(width = 8, classes = 10) { input 3x8x8 stem conv(3x3, width) head avgpool -> linear(classes) }
network wide(k = 2) = base(width = 8 * k)
network wider = wide(k = 4)
"""
    assert summarise(build(text, "wider", {"classes": 5})).costs.parameters == 3 * 9 * 32 + 32 * 5 + 5
    assert build(text, "wide", {"k": 3}).name == "wide"
    with pytest.raises(SpecError, match="has no parameter `width`"):
        build(text, "wide", {"width": 3})


def test_asserts_speak_with_their_values() -> None:
    assert "depth 5 is not even" in failing(
        'input 3\nlet depth = 5\nassert depth % 2 == 0, "depth {depth} is not even"'
    )
    unit_text = 'unit u(w) { assert w > index, "copy {index} of {count}" branch linear(4) shortcut identity }'
    assert "copy 2 of 4" in failing("input 4\nstage 4 * u(2)", unit_text)


def test_imports(tmp_path: Path) -> None:
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "u.resnet").write_text(f"resnet 1\nlet channels = 8\n{UNIT}\n")
    spec = tmp_path / "n.resnet"
    spec.write_text('resnet 1\nimport "units/u.resnet"\nnetwork n { input 3x8x8 stage 2 * u(channels) }\n')
    assert runs(build(spec)) == [(1, "u(8)"), (1, "u(8)")]
    below = tmp_path / "units" / "m.resnet"
    below.write_text('resnet 1\nimport "../n.resnet"\nnetwork m = n()\n')
    with pytest.raises(SpecError, match="leaves"):
        build(below)
    assert build(below, options=Options(root=tmp_path)).name == "m"
    standard = 'resnet 1\nimport "std/units/basic.resnet"\nnetwork n { input 16x8x8 stage 2 * basic(16) }\n'
    assert summarise(build(standard)).units == 2


def test_stages_run_in_the_order_written_and_all_else_is_free() -> None:
    built = network("head flatten -> linear(2)\nstage u(8)\ninput 4x8x8\nstage u(16)\nstem relu", UNIT)
    assert [str(row.output) for row in summarise(built).rows] == ["4x8x8", "8x8x8", "16x8x8", "1024", "2"]


def test_expanded_text_implies_nothing() -> None:
    built = network(
        "input 4x8x8\nact gelu\nstage 3 * u(8)",
        "unit u(w) { placement pre branch conv(3x3, w) shortcut identity projection conv(1x1) }",
    )
    text = print_file(expand(built))
    for word in ("placement", "first", "norm ", "act ", "let"):
        assert word not in text
    assert "branch     bn -> gelu -> conv(3x3, 8, 1)" in text


def test_every_part_knows_where_it_was_written() -> None:
    text = (
        "resnet 1\n"
        "network n {\n"
        "    input 4x8x8\n"
        "    stage 3 * u(8)\n"
        "}\n"
        "unit u(w) {\n"
        "    placement pre\n"
        "    branch    conv(3x3, w)\n"
        "    shortcut  identity\n"
        "    projection pad\n"
        "}\n"
    )
    spans = build(text).spans
    lines = {pointer: place.line for pointer, place in spans.items()}
    assert lines["/stages/0"] == 4
    assert lines["/stages/0/0/units/0"] == 4
    assert lines["/stages/0/0/units/0/unit/branch"] == 8
    assert lines["/stages/0/0/units/0/unit/branch/0"] == 7, "the norm comes from the placement"
    assert lines["/stages/0/0/units/0/unit/branch/2"] == 8
    assert lines["/stages/0/0/units/0/unit/shortcut"] == 10
    assert lines["/stages/0/0/units/1/unit/shortcut"] == 9


def test_count_cannot_say_how_many_units_there_are() -> None:
    units = "unit u { branch conv(3x3, 8) shortcut identity }"
    assert "depends on the number of units" in failing("input 8x8x8\nstage count * u", units)
    assert "depends on the number of units" in failing("input 8x8x8\nstage u\nstage count * u", units)


def test_settings_of_the_network_know_how_many_units_there_are() -> None:
    built = network(
        "input 8x8x8\ninit he(gain = 1 / count)\nstage 4 * u", "unit u { branch conv(3x3, 8) shortcut identity }"
    )
    (element,) = built.stages[0]
    assert isinstance(element, op.Units)
    assert element.runs[0].unit.branch == (op.Conv((3, 3), 8, padding=(1, 1), init=He(0.25)),)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("batchnorm", "bn"),
        ("BatchNorm2d", "bn"),
        ("Conv2d(3x3, 4)", "conv"),
        ("fc(3)", "linear"),
        ("stochastic_depth(0.1)", "drop_path"),
    ],
)
def test_names_of_other_libraries_are_known(theirs: str, ours: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(f"resnet 1\nnetwork n {{ input 4x8x8 head {theirs} }}\n")
    assert caught.value.diagnostics[0].label == f"here it is `{ours}`"


def test_the_names_of_other_libraries_lead_to_names_that_are_here() -> None:
    assert set(OTHER_NAMES.values()) <= {*VALUE_NAMES, *CALL_NAMES}
    assert not set(OTHER_NAMES) & {*VALUE_NAMES, *CALL_NAMES}
