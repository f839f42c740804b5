"""Declarations to a network: instantiation, placement, fitting, repetition.

Each distinct unit (declaration, arguments, input shape, settings) is lowered once, however often it is repeated.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from resdsl.diagnostics import SpecError, fail
from resdsl.network import operators as op
from resdsl.network.network import Network, inner_chains
from resdsl.network.shapes import ShapeError, chain_output, output
from resdsl.network.types import He, Image, Init, Shape, Tap, Vector
from resdsl.semantics.build import Arguments, Fit, build_operator
from resdsl.semantics.counting import UnitCounter, copies_of
from resdsl.semantics.evaluate import Evaluator, as_chain, builtin_span
from resdsl.semantics.fitting import Fitted, fit_chain
from resdsl.semantics.instantiate import Body, base_node, check_assert, network_body
from resdsl.semantics.placement import place
from resdsl.semantics.program import NetworkDeclaration, UnitDeclaration
from resdsl.semantics.runs import merge_runs
from resdsl.semantics.scope import Place
from resdsl.semantics.signatures import MAX_COUNT, SIGNATURES
from resdsl.semantics.spans import Marks
from resdsl.semantics.values import (
    Bound,
    ChainValue,
    Deferred,
    Item,
    Nothing,
    OperatorCall,
    PlacementValue,
    Repetition,
    Setting,
    SettingUse,
    SizeValue,
    Value,
    format_call,
    kind_of,
)
from resdsl.source import Span
from resdsl.syntax.nodes import ClauseKind

DEFAULT_MAX_UNITS = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What `norm`, `act` and `init` stand for."""

    norm: ChainValue
    act: ChainValue
    init: Init


def _default(name: str) -> ChainValue:
    return ChainValue((OperatorCall(SIGNATURES[name], (), builtin_span(name)),))


DEFAULT_SETTINGS = Settings(_default("bn"), _default("relu"), He())


@dataclass(frozen=True, slots=True)
class Context:
    """Where a chain stands.

    place: the unit's place. fit: what unwritten channels and strides become, on shortcuts. on_shortcut: operators of
    shortcuts may stand here, units may not. around: the clause that brought in what has no place of its own.
    """

    settings: Settings
    place: Place
    fit: Fit | None = None
    on_shortcut: bool = False
    holds_units: bool = True
    around: Span | None = None


def lower_network(
    declaration: NetworkDeclaration, arguments: Mapping[str, Bound], max_units: int = DEFAULT_MAX_UNITS
) -> Network:
    """The network that a declaration stands for, with these arguments. Raises SpecError."""
    return _Lowering(max_units).network(declaration, arguments)


class _Lowering:
    def __init__(self, max_units: int) -> None:
        self.evaluator = Evaluator(max_units)
        self.counter = UnitCounter(self.evaluator, max_units)
        self.marks = Marks()
        self.units: dict[tuple[UnitDeclaration, tuple[Bound, ...], Shape, Settings], tuple[op.Unit, int]] = {}
        self.frames: list[str] = []
        self.count = 0
        self.next_index = 0

    def network(self, declaration: NetworkDeclaration, arguments: Mapping[str, Bound]) -> Network:
        body = network_body(declaration, arguments, self.evaluator)
        nowhere = Place(None, 0)
        settings = self.settings(DEFAULT_SETTINGS, body, nowhere)
        shape = _input_shape(self.evaluator.evaluate(body.clauses(ClauseKind.INPUT)[0].value, body.scope), body)
        parts: list[tuple[str, Span, ChainValue]] = []
        numbers = {ClauseKind.STEM: "stem", ClauseKind.HEAD: "head"}
        for kind in (ClauseKind.STEM, ClauseKind.STAGE, ClauseKind.HEAD):
            for number, clause in enumerate(body.clauses(kind), 1):
                with self.frame(f"{numbers.get(kind, f'stage {number}')} of {declaration.name}", clause.value.span):
                    parts.append((kind.value, clause.value.span, self.evaluator.chain(clause.value, body.scope)))
        whole = ChainValue(tuple(item for _, _, chain in parts for item in chain.items))
        self.count = self.counter.chain(whole).leaves
        context = Context(settings, Place(None, self.count))
        for assertion in body.asserts:
            check_assert(assertion, body.scope, self.evaluator, context.place)
        sections: dict[str, list[op.Chain]] = {"stem": [], "stage": [], "head": []}
        for kind, span, value in parts:
            name = kind if kind != "stage" else f"stage {len(sections['stage']) + 1}"
            with self.frame(f"{name} of {declaration.name}", span):
                chain = self.chain(value, shape, context)
                shape = chain_output(chain, shape)
            self.marks.put(chain, span)
            sections[kind].append(chain)
        if self.next_index != self.count:
            message = (
                f"the number of units depends on their place: {self.count} were counted, {self.next_index} stand here"
            )
            raise fail("wrong-repetition", message, declaration.node.name.span)
        network = Network(
            name=declaration.name,
            doc=declaration.node.doc or base_node(declaration).doc,
            input=_input_shape(self.evaluator.evaluate(body.clauses(ClauseKind.INPUT)[0].value, body.scope), body),
            stem=sections["stem"][0] if sections["stem"] else (),
            stages=tuple(sections["stage"]),
            head=sections["head"][0] if sections["head"] else (),
        )
        return replace(network, spans=self.marks.table(network))

    def settings(self, outer: Settings, body: Body, place: Place) -> Settings:
        norm, act, init = body.chain(ClauseKind.NORM), body.chain(ClauseKind.ACT), body.init(place)
        for chain, kind in ((norm, ClauseKind.NORM), (act, ClauseKind.ACT)):
            if chain is not None and any(isinstance(item, SettingUse) for item in chain.items):
                raise fail("circular-value", f"`{kind.value}` is set to itself", body.span(kind))
        return Settings(norm or outer.norm, act or outer.act, init or outer.init)

    @contextmanager
    def frame(self, label: str, span: Span) -> Generator[None]:
        """Names a unit or section in the notes of errors that are raised inside."""
        self.frames.append(label)
        try:
            yield
        except SpecError as error:
            note = f"in {label} at {span}"
            raise SpecError([replace(d, notes=(*d.notes, note)) for d in error.diagnostics]) from None
        finally:
            self.frames.pop()

    def where(self) -> str:
        """`basic(32, stride = 2), stage 2 of resnet110`."""
        return ", ".join(reversed(self.frames))

    def chain(self, value: ChainValue, shape: Shape, context: Context) -> op.Chain:
        """The lowered chain for an input shape. Raises SpecError."""
        elements: list[op.Element] = []
        for item in value.items:
            shape = self.item(item, shape, context, elements)
        return tuple(elements)

    def item(self, item: Item, shape: Shape, context: Context, elements: list[op.Element]) -> Shape:
        match item:
            case OperatorCall():
                element = self.operator(item, shape, context)
                self.marks.put(element, context.around or item.span)
                elements.append(element)
                return self.output(element, shape, context.around or item.span)
            case SettingUse(setting=setting):
                chain = context.settings.norm if setting is Setting.NORM else context.settings.act
                inside = replace(context, around=context.around or item.span)
                for part in chain.items:
                    shape = self.item(part, shape, inside, elements)
                return shape
            case Repetition():
                if not context.holds_units:
                    raise fail(
                        "wrong-value",
                        "a unit cannot stand here",
                        item.span,
                        help="units stand in branches, stages, stem and head",
                    )
                runs = self.repetition(item, shape, context)
                before = elements[-1] if elements else None
                if isinstance(before, op.Units):
                    elements.pop()
                    runs = [*before.runs, *runs]
                elements.append(self.merged(runs, item.span))
                return runs[-1].unit.output
            case Nothing(span=span):
                raise fail(
                    "wrong-value", "`none` stands alone, as a shortcut", span, help="write `identity` for nothing to do"
                )
            case Deferred(expression=expression):
                value = as_chain(self.evaluator.resolve(item, context.place), expression.span)
                for part in value.items:
                    shape = self.item(part, shape, context, elements)
                return shape

    def operator(self, call: OperatorCall, shape: Shape, context: Context) -> op.Operator:
        if call.signature.shortcut_only and not context.on_shortcut:
            raise fail("wrong-value", f"{call.signature.name} stands on a shortcut", call.span)

        def resolve(value: Value) -> Value:
            return self.evaluator.resolve(value, context.place)

        def lower(chain: ChainValue, inner: Shape) -> op.Chain:
            return self.chain(chain, inner, replace(context, fit=None))

        operator = build_operator(Arguments(call, resolve, context.fit), shape, context.settings.init, lower)
        if isinstance(operator, op.Scale) and operator.branch != 1 and not context.on_shortcut:
            raise fail("wrong-value", "a scale with `branch` stands on a shortcut", call.span)
        return operator

    def output(self, element: op.Element, shape: Shape, span: Span) -> Shape:
        try:
            return output(element, shape)
        except ShapeError as error:
            raise fail("shape", error.message, span, help=error.help) from None

    def merged(self, runs: list[op.Run], span: Span) -> op.Units:
        merged = merge_runs(runs)
        originals = {run.unit: run.unit for run in runs}
        for run in merged:
            self.marks.put(run, span)
            if run.unit not in originals:
                source = next(old.unit for old in runs if old.unit.label == run.unit.label)
                _carry_marks(self.marks, source, run.unit)
        units = op.Units(merged)
        self.marks.put(units, span)
        return units

    def repetition(self, item: Repetition, shape: Shape, context: Context) -> list[op.Run]:
        runs: list[op.Run] = []
        for arguments, copies in copies_of(item):
            left = copies
            while left:
                start = self.next_index
                label = format_call(item.unit.name, arguments, item.unit.leading(arguments))
                with self.frame(label, item.span):
                    unit, varies = self.unit(item.unit, arguments, shape, context, label)
                leaves = self.next_index - start
                count = 1 if varies or unit.output != unit.input else left
                self.next_index += leaves * (count - 1)
                runs.append(op.Run(count, unit))
                shape = unit.output
                left -= count
        return runs

    def unit(
        self, declaration: UnitDeclaration, arguments: tuple[Bound, ...], shape: Shape, context: Context, label: str
    ) -> tuple[op.Unit, bool]:
        """The lowered unit, and whether it depends on its place."""
        key = (declaration, arguments, shape, context.settings)
        known = self.units.get(key)
        if known is not None:
            self.next_index += known[1]
            return known[0], False
        start = self.next_index
        body = self.counter.body(declaration, arguments)
        holds_units = self.counter.counts[declaration, arguments].total > 1
        own_place = Place(None if holds_units else self.next_index, self.count)
        inner = Context(self.settings(context.settings, body, own_place), own_place)
        unit = self.unit_from(body, shape, inner, label)
        if not holds_units:
            self.next_index += 1
        if own_place.used:
            context.place.used = True
        else:
            self.units[key] = unit, self.next_index - start
        return unit, own_place.used

    def unit_from(self, body: Body, shape: Shape, context: Context, label: str) -> op.Unit:
        for assertion in body.asserts:
            check_assert(assertion, body.scope, self.evaluator, context.place)
        placement = body.placement(context.place)
        around = replace(context, around=body.span(ClauseKind.PLACEMENT))
        lead = self.chain(placement.pre, shape, around)
        start = chain_output(lead, shape)
        written = self.resolved(body.chain(ClauseKind.BRANCH) or ChainValue(()), context.place)
        branch = lead + self.chain(place(written, placement), start, context)
        target = chain_output(branch, shape)
        shortcut = self.shortcut(body, branch, shape, target, placement, context)
        after_clause = body.chain(ClauseKind.AFTER)
        if after_clause is None:
            after = self.chain(placement.after, target, replace(around, holds_units=False))
        else:
            after = self.chain(after_clause, target, replace(context, holds_units=False))
        unit = op.Unit(
            name=body.node.name.name,
            label=label,
            input=shape,
            output=chain_output(after, target),
            branch=branch,
            shortcut=shortcut,
            after=after,
        )
        after_kind = ClauseKind.PLACEMENT if after_clause is None else ClauseKind.AFTER
        shortcut_kind = ClauseKind.PROJECTION if shortcut.projection else ClauseKind.SHORTCUT
        self.marks.put(unit, body.span(ClauseKind.BRANCH), "branch")
        self.marks.put(unit, body.span(shortcut_kind), "shortcut")
        self.marks.put(unit, body.span(after_kind), "after")
        return unit

    def resolved(self, value: ChainValue, place: Place) -> ChainValue:
        """The chain with Deferred items evaluated."""
        items: list[Item] = []
        for item in value.items:
            if isinstance(item, Deferred):
                items += as_chain(self.evaluator.resolve(item, place), item.expression.span).items
            else:
                items.append(item)
        return ChainValue(tuple(items))

    def shortcut(
        self, body: Body, branch: op.Chain, source: Shape, target: Shape, placement: PlacementValue, context: Context
    ) -> op.Shortcut:
        lead = op.Unit("", "", source, target, branch, op.Shortcut(Tap.INPUT, None), ()).lead
        activated = chain_output(branch[:lead], source)

        def fit(kind: ClauseKind, default: Tap) -> tuple[Tap, Fitted | None]:
            tap = body.tap(kind, default, context.place) if lead else Tap.INPUT
            value = self.resolved(body.chain(kind) or ChainValue(()), context.place)
            if any(isinstance(item, Nothing) for item in value.items):
                if len(value.items) > 1:
                    raise fail("wrong-value", "`none` stands alone, as a shortcut", body.span(kind))
                return tap, None
            read = activated if tap is Tap.ACTIVATED else source
            placed = place(value, placement)

            def lower(chain: ChainValue, shape: Shape, fit: Fit) -> op.Chain:
                return self.chain(chain, shape, replace(context, fit=fit, on_shortcut=True, holds_units=False))

            return tap, fit_chain(placed, read, target, lower)

        tap, found = fit(ClauseKind.SHORTCUT, Tap.INPUT)
        if found is None:
            return op.Shortcut(tap, None)
        if found.chain is not None:
            return op.Shortcut(tap, found.chain)
        if body.clause(ClauseKind.PROJECTION) is None:
            raise self.misfit(
                found,
                source,
                target,
                body.span(ClauseKind.SHORTCUT),
                "add a projection, for instance `projection conv(1x1)`",
            )
        tap, found = fit(ClauseKind.PROJECTION, Tap.ACTIVATED)
        if found is None:
            return op.Shortcut(tap, None, projection=True)
        if found.chain is None:
            raise self.misfit(
                found,
                source,
                target,
                body.span(ClauseKind.PROJECTION),
                "let the projection take channels and stride: `conv(1x1)` or `pad`",
            )
        return op.Shortcut(tap, found.chain, projection=True)

    def misfit(self, found: Fitted, source: Shape, target: Shape, span: Span, help: str) -> SpecError:
        if found.problem is not None:
            return found.problem
        message = f"this unit changes the shape: {found.output} meets {target} in {self.where()}"
        return fail("shape", message, span, label=f"gives {found.output}; the branch gives {target}", help=help)


def _input_shape(value: Value, body: Body) -> Shape:
    span = body.span(ClauseKind.INPUT)
    match value:
        case SizeValue(values=(channels, height, width)) if min(channels, height, width) > 0:
            if max(channels, height, width) > MAX_COUNT:
                raise fail("shape", "this input is too large", span)
            return Image(channels, height, width)
        case int() if not isinstance(value, bool) and 0 < value <= MAX_COUNT:
            return Vector(value)
        case SizeValue() | int():
            pass
        case _:
            raise fail("wrong-value", f"the input's shape must stand here, and this is {kind_of(value)}", span)
    help = "write `input 3x32x32` (channels x height x width) or `input 10` (a vector)"
    raise fail("wrong-value", "this is no shape of an input", span, help=help)


def _carry_marks(marks: Marks, old: op.Unit, new: op.Unit) -> None:
    marks.copy(old, new)
    for before, after in (
        (old.branch, new.branch),
        (old.shortcut.chain or (), new.shortcut.chain or ()),
        (old.after, new.after),
    ):
        _carry_chain_marks(marks, before, after)


def _carry_chain_marks(marks: Marks, old: op.Chain, new: op.Chain) -> None:
    for before, after in zip(old, new, strict=True):
        marks.copy(before, after)
        if not isinstance(before, op.Units) and not isinstance(after, op.Units):
            for inner_before, inner_after in zip(inner_chains(before), inner_chains(after), strict=True):
                _carry_chain_marks(marks, inner_before, inner_after)
