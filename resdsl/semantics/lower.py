"""Declarations to a network: instantiation, placement, fitting, repetition.

Each distinct unit (declaration, arguments, input shape, settings) is lowered once, however often it is repeated.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby

from resdsl.diagnostics import Diagnostic, SpecError, fail, noting
from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.network.shapes import ShapeError, chain_output, output
from resdsl.network.types import Image, Shape, Tap, Vector
from resdsl.semantics.build import Arguments, Fit, build_operator
from resdsl.semantics.context import DEFAULT_SETTINGS, Context, Settings
from resdsl.semantics.counting import Instance, UnitCounter, copies_of, too_deep
from resdsl.semantics.evaluate import Evaluator, as_chain, too_many, too_many_parts, units_that_wait
from resdsl.semantics.fitting import Fitted, fit_chain, misfit
from resdsl.semantics.instantiate import Body, check_assert, network_body
from resdsl.semantics.placement import holds_chains, place, placed_size
from resdsl.semantics.program import NetworkDeclaration
from resdsl.semantics.runs import merge_runs
from resdsl.semantics.scope import Place
from resdsl.semantics.signatures import MAX_COUNT
from resdsl.semantics.spans import Marks, Places
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
    kind_of,
)
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind
from resdsl.syntax.printer import print_expression

DEFAULT_MAX_UNITS = 100_000


MAX_LOWERED = 4
"""Operators of a network, each distinct unit counted once: so many times those that one chain may have."""
MAX_DEPTH = 48
"""How deep units, chains in arguments, settings and values that wait for their place may stand in each other."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A stem, stage or head clause; label: as in `stage 2 of resnet110`."""

    kind: ClauseKind
    label: str
    span: Span
    value: ChainValue


def lower_network(
    declaration: NetworkDeclaration, arguments: Mapping[str, Bound], max_units: int = DEFAULT_MAX_UNITS
) -> Network:
    """The network that a declaration stands for, with these arguments. Raises SpecError."""
    try:
        return _Lowering(max_units).network(declaration, arguments)
    except RecursionError:  # values that are built of values, hundreds deep
        raise fail(
            "nesting-too-deep", f"the values of {declaration.name} are nested too deep", declaration.node.name.span
        ) from None


def _doc(node: nodes.Network | nodes.Alias) -> str:
    """The docstring; for an alias without one what it is an alias of: the other's text speaks of another network."""
    if node.doc or isinstance(node, nodes.Network):
        return node.doc
    return " ".join(print_expression(node.value).split())


class _Lowering:
    def __init__(self, max_units: int) -> None:
        self.evaluator = Evaluator(max_units)
        self.counter = UnitCounter(self.evaluator, max_units)
        self.marks = Marks()
        self.lowered: dict[tuple[Instance, Shape, Settings], tuple[op.Unit, int]] = {}
        self.frames: list[str] = []
        self.depth = 0
        self.operators = 0
        self.count = 0
        self.next_index = 0

    def network(self, declaration: NetworkDeclaration, arguments: Mapping[str, Bound]) -> Network:
        body = network_body(declaration, arguments, self.evaluator)
        source = _input_shape(self.evaluator.evaluate(body.clauses(ClauseKind.INPUT)[0].value, body.scope), body)
        shape = source
        parts: list[_Section] = []
        problems: list[Diagnostic] = []
        for kind in (ClauseKind.STEM, ClauseKind.STAGE, ClauseKind.HEAD):
            for number, clause in enumerate(body.clauses(kind), 1):
                word = f"stage {number}" if kind is ClauseKind.STAGE else kind.value
                label, span = f"{word} of {declaration.name}", clause.value.span
                try:
                    with self.frame(label, span):
                        value = self.evaluator.chain(clause.value, body.scope)
                        parts.append(_Section(kind, label, span, value))
                except SpecError as error:
                    problems += error.diagnostics
        if problems:
            raise SpecError(problems)
        self.count = self.counted(parts)
        nowhere = Place(None, self.count)
        context = Context(self.settings(DEFAULT_SETTINGS, body, nowhere), nowhere)
        for assertion in body.asserts:
            check_assert(assertion, body.scope, self.evaluator, context.place)
        chains: dict[ClauseKind, list[op.Chain]] = {ClauseKind.STEM: [], ClauseKind.STAGE: [], ClauseKind.HEAD: []}
        for part in parts:
            with self.frame(part.label, part.span):
                chain = self.chain(part.value, shape, context)
                shape = chain_output(chain, shape)
            stage = len(chains[ClauseKind.STAGE])
            pointer = f"/stages/{stage}" if part.kind is ClauseKind.STAGE else f"/{part.kind.value}"
            self.marks.sections[pointer] = part.span
            chains[part.kind].append(chain)
        if self.next_index != self.count:
            message = (
                f"the number of units depends on their place: {self.count} were counted, {self.next_index} stand here"
            )
            raise fail("wrong-repetition", message, declaration.node.name.span)
        network = Network(
            name=declaration.name,
            doc=_doc(declaration.node),
            input=source,
            stem=chains[ClauseKind.STEM][0] if chains[ClauseKind.STEM] else (),
            stages=tuple(chains[ClauseKind.STAGE]),
            head=chains[ClauseKind.HEAD][0] if chains[ClauseKind.HEAD] else (),
        )
        return replace(network, spans=Places(self.marks, network))

    def counted(self, parts: list[_Section]) -> int:
        """How many units, that hold none, are in the network. Raises SpecError beyond the budget."""
        leaves = total = 0
        for part in parts:
            with self.frame(part.label, part.span):
                count = self.counter.chain(part.value)
                leaves, total = leaves + count.leaves, total + count.total
                if total > self.counter.max_units:
                    raise too_many(total, self.counter.max_units, part.span)
        return leaves

    def settings(self, outer: Settings, body: Body, place: Place) -> Settings:
        norm, act, init = body.chain(ClauseKind.NORM), body.chain(ClauseKind.ACT), body.init(place)
        if norm is None and act is None and init is None:
            return outer
        for setting, chain in ((Setting.NORM, norm), (Setting.ACT, act)):
            for item in chain.items if chain else ():
                if isinstance(item, SettingUse) and item.setting is setting:
                    raise fail("circular-value", f"`{setting.value}` is set to itself", item.span)
        return Settings(norm or outer.norm, act or outer.act, init or outer.init)

    @contextmanager
    def frame(self, label: str, span: Span) -> Generator[None]:
        """Names a unit or section in the notes of errors that are raised inside."""
        self.frames.append(label)
        try:
            with noting(f"in {label} at {span}"):
                yield
        finally:
            self.frames.pop()

    def where(self) -> str:
        """`basic(32, stride = 2), stage 2 of resnet110`."""
        return ", ".join(reversed(self.frames))

    def chain(self, value: ChainValue, shape: Shape, context: Context) -> op.Chain:
        """The lowered chain for an input shape. Raises SpecError."""
        parts: list[op.Operator | op.Run] = []
        for item in value.items:
            shape = self.item(item, shape, context, parts)
        chain: list[op.Element] = []
        for is_run, group in groupby(parts, lambda part: isinstance(part, op.Run)):
            if is_run:
                chain.append(self.units([part for part in group if isinstance(part, op.Run)]))
            else:
                chain += [part for part in group if not isinstance(part, op.Run)]
        return tuple(chain)

    def item(self, item: Item, shape: Shape, context: Context, parts: list[op.Operator | op.Run]) -> Shape:
        """Appends what an item stands for; the shape that leaves it."""
        if self.depth >= MAX_DEPTH:
            raise too_deep(ChainValue((item,)))
        self.depth += 1
        try:
            return self.lowered_item(item, shape, context, parts)
        finally:
            self.depth -= 1

    def lowered_item(self, item: Item, shape: Shape, context: Context, parts: list[op.Operator | op.Run]) -> Shape:
        match item:
            case OperatorCall():
                self.operators += 1
                if self.operators > MAX_LOWERED * self.evaluator.max_parts:
                    raise too_many_parts(self.operators, MAX_LOWERED * self.evaluator.max_parts, item.span)
                operator = self.operator(item, shape, context)
                self.marks.put(operator, context.around or item.span)
                parts.append(operator)
                return self.output(operator, shape, context.around or item.span)
            case SettingUse(setting=setting):
                if setting in context.using:
                    raise fail("circular-value", f"`{setting.value}` is set to itself", item.span)
                chain = context.settings.norm if setting is Setting.NORM else context.settings.act
                inside = context.within(item)
                for part in chain.items:
                    shape = self.item(part, shape, inside, parts)
                return shape
            case Repetition():
                if not context.holds_units:
                    help = "units stand in branches, stages, stem and head"
                    raise fail("wrong-value", "a unit cannot stand here", item.span, help=help)
                runs = self.repetition(item, shape, context)
                parts += runs
                return runs[-1].unit.output
            case Nothing(span=span):
                help = "write `identity` for nothing to do"
                raise fail("wrong-value", "`none` stands alone, as a shortcut", span, help=help)
            case Deferred():
                for part in self.deferred_chain(item, context.place).items:
                    shape = self.item(part, shape, context, parts)
                return shape

    def units(self, runs: list[op.Run]) -> op.Units:
        """Units in a row, equal ones in one run, each run marked with where it was written."""
        merged: list[op.Run] = []
        for run, first in merge_runs(runs):
            self.marks.copy(first, run)
            if run.unit is not first.unit:
                self.marks.copy_unit(first.unit, run.unit)
            merged.append(run)
        units = op.Units(tuple(merged))
        self.marks.copy(runs[0], units)
        return units

    def operator(self, call: OperatorCall, shape: Shape, context: Context) -> op.Operator:
        if call.signature.shortcut_only and not context.on_shortcut:
            name = call.signature.name
            raise fail("wrong-value", f"{name} stands on a shortcut", call.span, help=f"write `shortcut {name}(…)`")

        def resolve(value: Value) -> Value:
            return self.evaluator.resolve(value, context.place)

        def lower(chain: ChainValue, inner: Shape) -> op.Chain:
            return self.chain(chain, inner, replace(context, fit=None, inside=True))

        operator = build_operator(Arguments(call, resolve, context.fit), shape, context.settings.init, lower)
        scales_branch = (
            operator.branch
            if isinstance(operator, op.Gate)
            else isinstance(operator, op.Scale) and operator.branch != 1
        )
        if scales_branch and (context.inside or not context.on_shortcut):
            message = (
                f"{call.signature.name} with `branch` scales the unit's branch, so it stands on the shortcut itself"
            )
            raise fail("wrong-value", message, call.span)
        return operator

    def output(self, element: op.Element, shape: Shape, span: Span) -> Shape:
        try:
            return output(element, shape)
        except ShapeError as error:
            raise fail("shape", error.message, span, help=error.help) from None

    def repetition(self, item: Repetition, shape: Shape, context: Context) -> list[op.Run]:
        runs: list[op.Run] = []
        for arguments, copies in copies_of(item):
            label = item.unit.label(arguments)
            with self.frame(label, item.span):
                instance = self.counter.instance(item.unit, arguments)
            left = copies
            while left:
                start = self.next_index
                with self.frame(label, item.span):
                    unit, varies = self.unit(instance, shape, context, label)
                leaves = self.next_index - start
                count = 1 if varies or unit.output != unit.input else left
                self.next_index += leaves * (count - 1)
                runs.append(op.Run(count, unit))
                self.marks.put(runs[-1], item.span)
                shape = unit.output
                left -= count
        return runs

    def unit(self, instance: Instance, shape: Shape, context: Context, label: str) -> tuple[op.Unit, bool]:
        """The lowered unit, and whether it depends on its place."""
        key = (instance, shape, context.settings)
        known = self.lowered.get(key)
        if known is not None:
            self.next_index += known[1]
            return known[0], False
        start = self.next_index
        holds_units = instance.count.total > 1
        own_place = Place(None if holds_units else self.next_index, self.count)
        inner = Context(self.settings(context.settings, instance.body, own_place), own_place)
        unit = self.unit_from(instance.body, shape, inner, label)
        if not holds_units:
            self.next_index += 1
        if own_place.used:
            context.place.used = True
        else:
            self.lowered[key] = unit, self.next_index - start
        return unit, own_place.used

    def unit_from(self, body: Body, shape: Shape, context: Context, label: str) -> op.Unit:
        for assertion in body.asserts:
            check_assert(assertion, body.scope, self.evaluator, context.place)
        placement = body.placement(context.place)
        lead = self.chain(placement.pre, shape, context)
        start = chain_output(lead, shape)
        written = self.resolved(body.chain(ClauseKind.BRANCH) or ChainValue(()), context.place)
        branch = lead + self.chain(self.placed(written, placement, body.span(ClauseKind.BRANCH)), start, context)
        target = chain_output(branch, shape)
        shortcut = self.shortcut(body, branch, shape, target, placement, context)
        after_clause = body.chain(ClauseKind.AFTER)
        after_value = placement.after if after_clause is None else after_clause
        after = self.chain(after_value, target, replace(context, holds_units=False))
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
        self.marks.put(unit, body.span(ClauseKind.BRANCH), "branch")
        self.marks.put(unit, body.span(after_kind), "after")
        return unit

    def deferred_chain(self, item: Deferred, place: Place) -> ChainValue:
        """The chain that waited for its place. It holds no units: they are counted before any has a place."""
        span = item.expression.span
        chain = as_chain(self.evaluator.resolve(item, place), span)
        if any(isinstance(part, Repetition) for part in chain.items):
            raise units_that_wait(span)
        return chain

    def resolved(self, value: ChainValue, place: Place, depth: int = 0) -> ChainValue:
        """The chain with what waits for its place evaluated, also in the chains of partial and concat."""
        if depth > MAX_DEPTH:
            raise too_deep(value)
        items: list[Item] = []
        for item in value.items:
            match item:
                case Deferred(expression=expression):
                    chain = self.resolved(self.deferred_chain(item, place), place, depth + 1)
                    place.keep(item, chain)
                    items += chain.items
                    if len(items) > self.evaluator.max_parts:
                        raise too_many_parts(len(items), self.evaluator.max_parts, expression.span)
                case OperatorCall(arguments=arguments) if holds_chains(item):
                    bounds = (self.resolved_argument(bound, place, depth + 1) for bound in arguments)
                    items.append(replace(item, arguments=tuple(bounds)))
                case _:
                    items.append(item)
        return ChainValue(tuple(items))

    def resolved_argument(self, bound: Bound, place: Place, depth: int) -> Bound:
        value = self.evaluator.resolve(bound.value, place)
        return replace(bound, value=self.resolved(value, place, depth) if isinstance(value, ChainValue) else value)

    def placed(self, chain: ChainValue, placement: PlacementValue, span: Span) -> ChainValue:
        """The chain, which must not be too long for it, with the placement's norms and activations."""
        size = placed_size(chain, placement)
        if size > self.evaluator.max_parts:
            raise too_many_parts(size, self.evaluator.max_parts, span)
        return place(chain, placement)

    def shortcut(
        self, body: Body, branch: op.Chain, source: Shape, target: Shape, placement: PlacementValue, context: Context
    ) -> op.Shortcut:
        lead = op.lead_length(branch)
        activated = chain_output(branch[:lead], source)

        def fit(kind: ClauseKind, default: Tap) -> tuple[Tap, Fitted | Nothing]:
            written = body.tap(kind, default, context.place)
            tap = written if lead else Tap.INPUT  # with nothing leading, both read the same
            value = self.resolved(body.chain(kind) or ChainValue(()), context.place)
            nothing = next((item for item in value.items if isinstance(item, Nothing)), None)
            if nothing is not None:
                if len(value.items) > 1:
                    raise fail("wrong-value", "`none` stands alone, as a shortcut", body.span(kind))
                return tap, nothing
            read = activated if tap is Tap.ACTIVATED else source
            placed = self.placed(value, placement, body.span(kind))

            def lower(chain: ChainValue, shape: Shape, fit: Fit) -> op.Chain:
                return self.chain(chain, shape, replace(context, fit=fit, on_shortcut=True, holds_units=False))

            return tap, fit_chain(placed, read, target, lower)

        def marked(shortcut: op.Shortcut, span: Span) -> op.Shortcut:
            self.marks.put(shortcut, span)
            return shortcut

        def checked(tap: Tap, chain: op.Chain, span: Span, *, projection: bool) -> op.Shortcut:
            shape = activated if tap is Tap.ACTIVATED else source
            for element in chain:
                if isinstance(element, op.Gate) and element.branch and shape != target:
                    message = f"the gate has shape {shape}, and the branch that it scales gives {target}"
                    raise fail(
                        "shape", message, self.marks.get(element), help="put the gate behind what changes the shape"
                    )
                shape = output(element, shape)
            return marked(op.Shortcut(tap, chain, projection), span)

        tap, found = fit(ClauseKind.SHORTCUT, Tap.INPUT)
        span = body.span(ClauseKind.SHORTCUT)
        if isinstance(found, Nothing):
            return marked(op.Shortcut(tap, None), found.span)
        if found.chain is not None:
            return checked(tap, found.chain, span, projection=False)
        if body.clause(ClauseKind.PROJECTION) is None:
            help = "add a projection, for instance `projection conv(1x1)`"
            raise misfit(found, source, target, self.where(), span, help)
        tap, found = fit(ClauseKind.PROJECTION, Tap.ACTIVATED)
        span = body.span(ClauseKind.PROJECTION)
        if isinstance(found, Nothing):
            return marked(op.Shortcut(tap, None, projection=True), found.span)
        if found.chain is None:
            help = "let the projection take channels and stride: `conv(1x1)` or `pad`"
            raise misfit(found, source, target, self.where(), span, help)
        return checked(tap, found.chain, span, projection=True)


def _input_shape(value: Value, body: Body) -> Shape:
    span = body.span(ClauseKind.INPUT)
    help = "write `input 3x32x32` (channels x height x width) or `input 10` (a vector)"
    match value:
        case SizeValue(values=(channels, height, width)):
            shape, sizes = Image(channels, height, width), value.values
        case int() if not isinstance(value, bool):
            shape, sizes = Vector(value), (value,)
        case SizeValue():
            raise fail("wrong-value", "this is no shape of an input", span, help=help)
        case _:
            raise fail(
                "wrong-value", f"the input's shape must stand here, and this is {kind_of(value)}", span, help=help
            )
    if min(sizes) < 1:
        raise fail("wrong-value", "an input has at least one channel, row and column", span, help=help)
    if max(sizes) > MAX_COUNT:
        raise fail("shape", f"this input is too large: a size may be {MAX_COUNT:,} at most", span)
    return shape
