"""The canonical document: what is written is read again as it was, and nothing else is read."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.network import document as document_module
from resdsl.network.document import from_document, from_json, to_document, to_json
from resdsl.network.network import Network
from resdsl.network.operators import OPERATORS, Conv, Dropout, Run, Scale, Shortcut, Unit, Units
from resdsl.network.types import He, Image, Normal, Orthogonal, Tap, Vector, Xavier, Zero
from resdsl.source import Location, Source
from resdsl.spec import build, open_spec

SPECS = Path(__file__).parents[2] / "specs"

EVERY = '''resnet 1

"""Every operator: ×, "quoted", and
two lines."""
network every(classes = 10) {
    input 3x16x16
    init  xavier(gain = 0.5)
    stem  conv(7x5, 8, bias = true, padding = 3x2, init = orthogonal(gain = 2))
          -> groupnorm(4) -> gelu -> maxpool(3x3, 1)
    stage 3 * drop(8)
    stage 2 * outer(8)
    stage wide() -> avgpool(2x2, 2) -> narrow() -> deep()
    stage 0 * drop(8)
    head  layernorm -> sigmoid -> concat(avgpool, flatten -> linear(4, bias = false, init = zero))
          -> scale(2) -> vectors() -> linear(classes, init = he)
}

unit drop(width) {
    placement pre
    branch    conv(3x3, width, groups = 2, dilation = 2, standardise = true) -> se(4)
              -> drop_path(0.5 * (index + 1) / count, per_sample = false, rescale = false)
    shortcut  identity
    after     dropout(0.1)
}

unit inner(width) {
    norm     groupnorm(2)
    act      silu
    branch   conv(1x1, width) -> norm -> act
    shortcut gate(-1, branch = true)
}

unit outer(width) {
    branch   2 * inner(width) -> partial(0.5, conv(3x3, 4) -> tanh)
    shortcut scale(0.5, branch = 0.25) -> dropout(0.5)
    after    scale(1, learn = true, per_channel = true)
}

unit wide() {
    placement  relu_only_pre
    branch     concat(conv(1x1, 8), identity, partial(0.25)) -> conv(2x2, 32, 2, padding = 0)
    shortcut   none
}

unit narrow() {
    branch     bn -> relu -> conv(3x3, 16, 2)
    shortcut   identity
    projection pad(32) -> conv(1x1, stride = 1)
}

unit deep() {
    branch   conv(3x3, 16)
    shortcut none
}

unit vectors() {
    branch     layernorm -> linear(20)
    shortcut   identity
    projection linear
}
'''

VECTORS = """resnet 1
network vectors { input 10
  stage 2 * wider() }
unit wider() { branch linear(10) -> relu
  shortcut scale(0.5) }
"""


@pytest.fixture(scope="module")
def every() -> Network:
    return build(EVERY)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(resources.files("resdsl.network.schema").joinpath("network.schema.json").read_text("utf-8"))


def _networks() -> Iterator[Any]:
    for path in sorted(SPECS.glob("*.resnet")):
        for declared in open_spec(path).networks():
            yield pytest.param(path, declared.name, id=f"{path.stem}-{declared.name}")
    yield pytest.param(EVERY, None, id="every")
    yield pytest.param(VECTORS, None, id="vectors")


NETWORKS = list(_networks())


def at(value: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def pointers(value: Any, pointer: str = "") -> Iterator[str]:
    yield pointer
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from pointers(inner, f"{pointer}/{key}")


REMOVED = object()


def changed(document: Any, pointer: str, value: Any) -> Any:
    """The document with another value at the pointer, or without it."""
    result = copy.deepcopy(document)
    above, _, step = pointer.rpartition("/")
    parent = at(result, above)
    key = int(step) if isinstance(parent, list) else step
    if value is REMOVED:
        del parent[key]
    elif isinstance(parent, dict) or key < len(parent):
        parent[key] = value
    else:
        parent.append(value)
    return result


def refused(read: Any) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        read()
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {"document"}
    return caught.value.diagnostics


# Round trip.


@pytest.mark.parametrize(("spec", "name"), NETWORKS)
def test_reading_gives_back_what_was_written(spec: Path | str, name: str | None) -> None:
    network = build(spec, name)
    text = to_json(network)
    read = from_json(Source("network.json", text))
    assert read == network
    assert list(read.spans.items()) == list(network.spans.items())
    assert to_json(read) == text
    assert from_document(json.loads(text)) == network


@pytest.mark.parametrize(("spec", "name"), NETWORKS)
def test_spans_point_into_the_document(spec: Path | str, name: str | None) -> None:
    document: Any = to_document(build(spec, name))
    assert document["spans"]
    for pointer in document["spans"]:
        at(document, pointer)


def test_every_operator_is_in_the_spec_that_has_every_operator(every: Network) -> None:
    keys = {pointer.rpartition("/")[2] for pointer in pointers(to_document(every))}
    assert keys >= {*OPERATORS, "units", "he", "xavier", "orthogonal", "zero", "image", "vector"}


def test_the_text_is_canonical(every: Network) -> None:
    text = to_json(every)
    assert text.endswith("}\n")
    assert "×" in text
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
    assert list(json.loads(text)) == ["resdsl", "name", "doc", "input", "stem", "stages", "head", "spans"]


def test_numbers_have_one_spelling_and_are_floats_again() -> None:
    unit = Unit("u", "u()", Vector(4), Vector(4), (), Shortcut(Tap.INPUT, (Scale((1, 2), 1),)), ())
    network = Network("n", "", Vector(4), (Scale(2), Dropout(0)), ((Units((Run(2, unit),)),),), ())
    document = to_document(network)
    assert at(json.loads(to_json(network)), "/stages/0/0/units/0/unit/shortcut/chain/0/scale/factor") == [1.0, 2.0]
    assert '"factor": 2.0' in to_json(network)
    document["stem"] = [
        {"scale": {"factor": 2, "branch": 1, "learn": False, "per_channel": False}},
        {"dropout": {"p": 0}},
    ]
    read = from_document(document)
    assert read == network
    scale = read.stem[0]
    assert isinstance(scale, Scale)
    assert isinstance(scale.factor, float)
    assert to_json(read) == to_json(network)


@pytest.mark.parametrize("depth", [1, 31])
def test_units_nest_as_deep_as_the_language_lets_them(depth: int) -> None:
    outer = "".join(f"unit u{n} {{ branch u{n + 1}()\n shortcut identity }}\n" for n in range(depth))
    inner = f"unit u{depth} {{ branch conv(3x3, 3)\n shortcut identity }}\n"
    network = build(f"resnet 1\nnetwork nested {{ input 3x8x8\n stage u0() }}\n{outer}{inner}")
    assert from_json(Source("nested.json", to_json(network))) == network


# The schema.


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_any_validator_accepts_what_is_written(schema: dict[str, Any], every: Network) -> None:
    Draft202012Validator(schema).validate(to_document(every))


COUNT = {"$ref": "#/$defs/count"}
CHAIN = {"$ref": "#/$defs/chain"}
TYPES: dict[str, list[Any]] = {
    "bool": [{"type": "boolean"}],
    "int": [COUNT, {"type": "integer", "minimum": 1}],
    "float": [
        {"$ref": "#/$defs/eps"},
        {"type": "number"},
        {"type": "number", "minimum": 0},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    ],
    "str": [{"$ref": "#/$defs/name"}, {"$ref": "#/$defs/label"}, {"type": "string"}],
    "Pair": [{"$ref": "#/$defs/window"}, {"$ref": "#/$defs/padding"}],
    "PerCopy": [{"$ref": "#/$defs/per_copy"}, {"$ref": "#/$defs/probability"}],
    "Init": [{"$ref": "#/$defs/init"}],
    "Shape": [{"$ref": "#/$defs/shape"}],
    "Chain": [CHAIN],
    "Chain | None": [{"type": ["array", "null"], "items": {"$ref": "#/$defs/element"}}],
    "tuple[Chain, ...]": [{"type": "array", "items": CHAIN}, {"type": "array", "items": CHAIN, "minItems": 1}],
    "Shortcut": [{"$ref": "#/$defs/shortcut"}],
    "Tap": [{"type": "string", "enum": [tap.value for tap in Tap]}],
    "Unit": [{"$ref": "#/$defs/unit"}],
}
"""How the schema may say that a field has a type."""

INITS = {"he": He, "xavier": Xavier, "orthogonal": Orthogonal, "normal": Normal, "zero": Zero}
OTHERS = {"run": Run, "unit": Unit, "shortcut": Shortcut, "location": Location}


@pytest.mark.parametrize(("name", "kind"), [*OPERATORS.items(), *INITS.items(), *OTHERS.items()])
def test_the_schema_says_what_the_types_say(schema: dict[str, Any], name: str, kind: type) -> None:
    definition = schema["$defs"][name]
    properties = {
        key: value for key, value in definition["properties"].items() if (name, key) != ("unit", "changes_shape")
    }
    assert list(properties) == [field.name for field in fields(kind)]
    for field in fields(kind):
        said = {key: value for key, value in properties[field.name].items() if key != "description"}
        assert said in TYPES[str(field.type)], field.name


def test_the_schema_knows_all_elements_and_leaves_nothing_open(schema: dict[str, Any]) -> None:
    definitions = schema["$defs"]
    assert list(definitions["element"]["properties"]) == [*OPERATORS, "units"]
    assert list(definitions["init"]["properties"]) == list(INITS)
    assert list(schema["properties"]) == ["resdsl", *(field.name for field in fields(Network))]
    for name, definition in [("network", schema), *definitions.items()]:
        if definition["type"] != "object":
            continue
        assert definition["additionalProperties"] is False, name
        if name in ("element", "init", "shape"):
            assert (definition["minProperties"], definition["maxProperties"]) == (1, 1)
            assert "required" not in definition
        else:
            assert definition["required"] == list(definition["properties"]), name


# What is refused.

STEM = "/stem/0/conv"
DROP = "/stages/0/0/units/0"
OUTER = "/stages/1/0/units/0/unit"
INNER_CONV = f"{OUTER}/branch/1/partial/chain/0/conv"
NARROW = "/stages/2/2/units/0/unit"
RELU: dict[str, Any] = {"relu": {}}
LINEAR = {"linear": {"features": 3, "bias": True, "init": {"zero": {}}}}
GATE = {"gate": {"bias": 0.0, "branch": False, "init": {"zero": {}}}}


@pytest.mark.parametrize(
    ("pointer", "value", "told", "words"),
    [
        # the schema
        ("/resdsl", 2, "/resdsl", "must be 1, the version"),
        ("/resdsl", 1.0, "/resdsl", "must be a whole number, and this is 1.0"),
        ("/resdsl", True, "/resdsl", "must be a whole number, and this is true"),
        ("/head", REMOVED, "the document", 'lacks "head"'),
        ("/haed", [], "the document", 'has the unknown key "haed"'),
        ("/name", "a\n", "/name", "does not have the right form"),
        ("/name", "a-b", "/name", "does not have the right form"),
        ("/doc", None, "/doc", "must be a string, and this is null"),
        ("/input", {"image": [3, 32]}, "/input/image", "must hold at least 3, and it holds 2"),
        ("/input", {"image": [3, 32, 32], "vector": 3}, "/input", 'must have one key, and it has "image", "vector"'),
        ("/stem/0", {"cnov": {}}, "/stem/0", 'has the unknown key "cnov"'),
        ("/stem/0", {}, "/stem/0", "must have one key, and it has none"),
        ("/stem/0", "relu", "/stem/0", 'must be an object, and this is "relu"'),
        (f"{STEM}/kernel", [3, 3, 3], f"{STEM}/kernel", "must hold at most 2, and it holds 3"),
        (f"{STEM}/kernel/0", 0, f"{STEM}/kernel/0", "must be at least 1, and this is 0"),
        (f"{STEM}/padding/1", -1, f"{STEM}/padding/1", "must be at least 0, and this is -1"),
        (f"{STEM}/channels", 2**24 + 1, f"{STEM}/channels", "must be at most 16,777,216, and this is 16777217"),
        (f"{STEM}/channels", 8.0, f"{STEM}/channels", "must be a whole number, and this is 8.0"),
        (f"{STEM}/stride", True, f"{STEM}/stride", "must be a whole number, and this is true"),
        (f"{STEM}/bias", 1, f"{STEM}/bias", "must be true or false, and this is 1"),
        (f"{STEM}/bias", REMOVED, STEM, 'lacks "bias"'),
        (f"{STEM}/init", {"she": {"gain": 1.0}}, f"{STEM}/init", 'has the unknown key "she"'),
        (f"{STEM}/init/orthogonal/gain", True, f"{STEM}/init/orthogonal/gain", "must be a number, and this is true"),
        ("/stem/1/groupnorm/eps", 0, "/stem/1/groupnorm/eps", "must be above 0, and this is 0"),
        (f"{DROP}/count", 0, f"{DROP}/count", "must be at least 1, and this is 0"),
        (f"{DROP}/unit/label", "a\x1b[2J", f"{DROP}/unit/label", r'does not have the right form: "a\u001b[2J"'),
        (f"{DROP}/unit/branch/4/drop_path/p/2", 1, f"{DROP}/unit/branch/4/drop_path/p/2", "must be below 1"),
        (f"{DROP}/unit/after/0/dropout/p", -0.5, f"{DROP}/unit/after/0/dropout/p", "must be at least 0"),
        (f"{DROP}/unit/after/0/dropout/p", "x", f"{DROP}/unit/after/0/dropout/p", "must be a number or an array"),
        (f"{DROP}/unit/shortcut/tap", "output", f"{DROP}/unit/shortcut/tap", 'must be one of "input", "activated"'),
        (f"{DROP}/unit/shortcut/chain", False, f"{DROP}/unit/shortcut/chain", "must be an array or null"),
        ("/stages/0/0/units", [], "/stages/0/0/units", "must hold at least 1, and it holds 0"),
        ("/head/2/concat/chains", [], "/head/2/concat/chains", "must hold at least 1, and it holds 0"),
        (f"{INNER_CONV}/stride", 0, f"{INNER_CONV}/stride", "must be at least 1, and this is 0"),
        ("/spans/x", {}, "/spans", 'does not have the right form: "x"'),
        ("/spans", {"/stem/0": {}}, "/spans/~1stem~10", 'lacks "file", "line", "column", "end_line", "end_column"'),
        # values
        (f"{STEM}/init/orthogonal/gain", float("nan"), f"{STEM}/init/orthogonal/gain", "is not a finite number"),
        (f"{STEM}/init/orthogonal/gain", float("inf"), f"{STEM}/init/orthogonal/gain", "is not a finite number"),
        (f"{STEM}/init/orthogonal/gain", 10**400, f"{STEM}/init/orthogonal/gain", "is not a finite number"),
        ("/doc", "\ud800", "/doc", "is no Unicode text"),
        # shapes
        (f"{STEM}/groups", 3, STEM, "cannot stand here: 3 channels in and 8 out do not divide into 3 groups"),
        ("/stem/4", LINEAR, "/stem/4/linear", "reads a vector"),
        (f"{STEM}/stride", 2, f"{DROP}/unit/input", "is 8x16x16, and what the unit reads here is 8x8x8"),
        (f"{DROP}/unit/changes_shape", True, f"{DROP}/unit/changes_shape", "must be false: 8x16x16 becomes 8x16x16"),
        (f"{DROP}/unit/output", {"vector": 8}, f"{DROP}/unit/output", "is 8, and what the unit gives is 8x16x16"),
        (f"{DROP}/unit/output", {"vector": 8}, f"{DROP}/count", "must be 1: the unit reads 8x16x16 and gives 8"),
        (f"{DROP}/unit/output", {"vector": 8}, "/stages/1/0/units/0/unit/input", "is 8x16x16, and what the unit reads"),
        (f"{DROP}/unit/input", {"image": [4, 16, 16]}, f"{DROP}/unit/shortcut", "gives 4x16x16, and the branch"),
        (f"{NARROW}/shortcut/chain", [], f"{NARROW}/shortcut", "gives 32x4x4, and the branch gives 16x2x2"),
        (f"{NARROW}/after/0", {"global_avgpool": {}}, f"{NARROW}/output", "is 16x2x2, and what the unit gives is 16"),
        (f"{OUTER}/branch/1/partial/channels", 9, f"{OUTER}/branch/1/partial", "cannot take 9 of 8 channels"),
        (f"{INNER_CONV}/groups", 3, INNER_CONV, "do not divide into 3 groups"),
        ("/head/2/concat/chains/1", [RELU], "/head/2/concat", "cannot stand here: concat joins channels"),
        (f"{STEM}/eps", -0.1, f"{STEM}/eps", "must be at least 0"),
        (f"{INNER_CONV}/eps", 0.1, f"{INNER_CONV}/eps", "must be 0: it belongs to filters that are standardised"),
        (f"{STEM}/init", {"normal": {"std": 0}}, f"{STEM}/init/normal/std", "must be above 0"),
        # copies
        (f"{DROP}/count", 2, f"{DROP}/unit/branch/4/drop_path/p", "must hold 2, one for each copy, and it holds 3"),
        ("/stem/4", {"dropout": {"p": [0.1]}}, "/stem/4/dropout/p", "only within a unit"),
        # places
        ("/stem/4", GATE, "/stem/4/gate", "a gate stands on a shortcut"),
        ("/head/3/scale/branch", 0.5, "/head/3/scale/branch", "must be 1"),
    ],
)  # fmt: skip
def test_defects_are_told_with_their_place(every: Network, pointer: str, value: Any, told: str, words: str) -> None:
    diagnostics = refused(lambda: from_document(changed(to_document(every), pointer, value)))
    assert any(d.message.startswith(f"{told} ") and words in d.message for d in diagnostics), diagnostics


def test_shortcuts_hold_no_units(every: Network) -> None:
    document = to_document(every)
    units = at(document, f"{OUTER}/branch/0")
    (diagnostic,) = refused(lambda: from_document(changed(document, f"{OUTER}/shortcut/chain/0", units)))
    assert diagnostic.message.startswith(f"{OUTER}/shortcut/chain/0/units cannot stand here")


def test_a_shortcut_from_activated_reads_what_leads_the_branch() -> None:
    pool = {"maxpool": {"kernel": [2, 2], "stride": 2, "padding": [0, 0]}}
    conv = Conv((1, 1), 3)
    unit = Unit("u", "u()", Image(3, 8, 8), Image(3, 4, 4), (conv,), Shortcut(Tap.ACTIVATED, ()), ())
    network = Network("n", "", Image(3, 8, 8), (), ((Units((Run(1, unit),)),),), ())
    document: Any = to_document(network)
    at(document, "/stages/0/0/units/0/unit")["branch"].insert(0, pool)
    assert from_document(document)
    at(document, "/stages/0/0/units/0/unit")["shortcut"]["tap"] = "input"
    (diagnostic,) = refused(lambda: from_document(document))
    assert "shortcut gives 3x8x8, and the branch gives 3x4x4" in diagnostic.message


def test_gates_stand_on_shortcuts(every: Network) -> None:
    document = to_document(every)
    inner = f"{OUTER}/branch/0/units/0/unit"
    gate = at(document, f"{inner}/shortcut/chain/0")
    assert gate == {"gate": {"bias": -1.0, "branch": True, "init": {"xavier": {"gain": 0.5}}}}
    (diagnostic,) = refused(lambda: from_document(changed(document, f"{inner}/branch/3", gate)))
    assert diagnostic.message.startswith(f"{inner}/branch/3/gate cannot stand here")


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("", "this is no JSON: expecting value", 1, 1),
        ('{\n  "resdsl": 1,\n}', "this is no JSON", 3, 1),
        ('{\n  "resdsl": 1 "name"', "this is no JSON: expecting ',' delimiter", 2, 15),
        ('{"doc": "a', "this is no JSON: unterminated string starting", 1, 9),
        ("{} {}", "this is no JSON: extra data", 1, 4),
        ("\ufeff{}", "this is no JSON", 1, 1),
        ('{"a": 1,\n "b": {"c": 1, "c": 2}}', '/b holds the key "c" more than once', 2, 7),
        ('{"a":\n NaN}', "/a is not a finite number", 2, 2),
        ('{"a": [0, -Infinity]}', "/a/1 is not a finite number", 1, 11),
        ('{"a": 1e999}', "/a is not a finite number", 1, 7),
        (f'{{"a": {"9" * 5000}}}', "/a is not a finite number", 1, 7),
        ('{"a": "\\ud800"}', "/a is no Unicode text", 1, 7),
        ("[]", "the document must be an object, and this is an array", 1, 1),
        ("17", "the document must be an object, and this is 17", 1, 1),
    ],
)
def test_text_that_is_no_document(text: str, message: str, line: int, column: int) -> None:
    diagnostic = refused(lambda: from_json(Source("x.json", text)))[0]
    assert diagnostic.message.startswith(message)
    assert diagnostic.span is not None
    assert diagnostic.span.source.line_column(diagnostic.span.start) == (line, column)
    assert diagnostic.render()


def test_defects_in_a_text_have_a_span(every: Network) -> None:
    text = to_json(every).replace('"groups": 1', '"groups": 0', 1)
    (diagnostic,) = refused(lambda: from_json(Source("x.json", text)))
    assert diagnostic.message == f"{STEM}/groups must be at least 1, and this is 0"
    assert diagnostic.span is not None
    assert diagnostic.span.text == "0"
    assert diagnostic.span.start == text.index('"groups": 0') + len('"groups": ')


def test_unknown_operators_come_with_a_guess(every: Network) -> None:
    (diagnostic,) = refused(lambda: from_document(changed(to_document(every), "/stem/0", {"cnov": {}})))
    assert diagnostic.help == "did you mean `conv`?"


@pytest.mark.parametrize("times", [600, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"partial":{"channels":1,"chain":', "}}]")]
)
def test_deep_nesting_is_a_diagnostic(opening: str, closing: str, times: int) -> None:
    (diagnostic,) = refused(lambda: from_json(Source("deep.json", opening * times + "[]" + closing * times)))
    assert "nested more than" in diagnostic.message


def test_values_that_json_does_not_have_are_diagnostics(every: Network) -> None:
    document: Any = to_document(every)
    document["stem"] = tuple(document["stem"])
    assert refused(lambda: from_document(document))[0].message == "/stem is no JSON value"
    document["stem"] = document
    assert "nested" in refused(lambda: from_document(document))[0].message
    assert refused(lambda: from_document({1: 2}))[0].message


def test_large_files_and_large_networks_are_refused(every: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    document = changed(to_document(every), f"{DROP}/unit/branch/4/drop_path/p", 0.5)
    document = changed(document, f"{DROP}/count", 10**15)
    (diagnostic,) = refused(lambda: from_document(document))
    assert diagnostic.message.startswith("the document has 1,000,000,000,000,00")
    assert from_document(document, max_units=10**16)
    monkeypatch.setattr(document_module, "MAX_DOCUMENT_BYTES", 100)
    (diagnostic,) = refused(lambda: from_json(Source("x.json", to_json(every))))
    assert "more than 100 bytes" in diagnostic.message


def test_whatever_is_changed_is_read_or_refused() -> None:
    """Never another exception."""
    document = to_document(replace(build(VECTORS), spans={}))
    for pointer in [*pointers(document)][1:]:
        for value in (REMOVED, None, 0, -1.5, [], {}, "\n"):
            with contextlib.suppress(SpecError):
                from_document(changed(document, pointer, value))
