"""Expressions to values.

An expression that needs the unit's place (`count`, `index`, `position`) before it is known becomes a Deferred, and is
evaluated again where the unit stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from resdsl.diagnostics import SpecError, did_you_mean, fail
from resdsl.network.types import Tap, Zero
from resdsl.semantics.arguments import check_argument, match_arguments, missing_arguments, usage
from resdsl.semantics.arithmetic import arithmetic, as_number, truth
from resdsl.semantics.program import LetDeclaration, Module, NetworkDeclaration, UnitDeclaration
from resdsl.semantics.scope import Lazy, Place, Scope
from resdsl.semantics.signatures import (
    INITS,
    PLACEMENT_CHAINS,
    SIGNATURES,
    InitSignature,
    Kind,
    Signature,
    mismatch,
)
from resdsl.semantics.values import (
    IDENTITY,
    PLACEMENTS,
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
    format_value,
    kind_of,
)
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import BinaryOperator, UnaryOperator

MAX_PARTS = 100_000
"""Operators and units that one chain may have when it is written out; more where more units are allowed."""
MAX_EVALUATION = 100
"""How deep values may be made of other values: a `let` in a `let` in an argument."""
MAX_CHAIN_NESTING = 32
"""How deep chains may stand in arguments of operators and units."""
PLACE_NAMES = ("count", "index", "position")


TAPS: dict[str, Tap] = {tap.value: tap for tap in Tap}
VALUE_NAMES = (*SIGNATURES, *PLACEMENTS, *TAPS, *PLACE_NAMES, *INITS, "zero", "identity", "none", "norm", "act")
"""Every name with a meaning of its own (which a declaration may take over)."""
CALL_NAMES = (*SIGNATURES, *INITS, "at")
OTHER_NAMES = {
    "adaptiveavgpool": "avgpool",
    "batchnorm": "bn",
    "convolution": "conv",
    "dense": "linear",
    "fc": "linear",
    "glorot": "xavier",
    "globalavgpool": "avgpool",
    "gn": "groupnorm",
    "kaiming": "he",
    "ln": "layernorm",
    "skip": "identity",
    "stochasticdepth": "drop_path",
    "squeezeexcite": "se",
    "swish": "silu",
    "zeropad": "pad",
}
"""What other libraries call things, in small letters without underscores: what they are here."""


class Evaluator:
    """Evaluates expressions; `max_units` bounds what may be written out."""

    def __init__(self, max_units: int) -> None:
        self.max_units = max_units
        self.max_parts = max(max_units, MAX_PARTS)
        self.depth = 0

    def evaluate(self, expression: nodes.Expression, scope: Scope, place: Place | None = None) -> Value:
        """The value of an expression. Raises SpecError."""
        if self.depth >= MAX_EVALUATION:
            message = f"this value is made of values nested more than {MAX_EVALUATION} deep"
            raise fail("nesting-too-deep", message, expression.span)
        self.depth += 1
        try:
            match expression:
                case nodes.Integer(value=value) | nodes.Float(value=value) | nodes.Boolean(value=value):
                    result: Value = value
                case nodes.Size(values=values):
                    result = SizeValue(values)
                case nodes.Name():
                    result = self.name(expression, scope, place)
                case nodes.Attribute():
                    result = self.attribute(expression, scope, place)
                case nodes.Call():
                    result = self.call(expression, scope, place)
                case nodes.Unary():
                    result = self.unary(expression, scope, place)
                case nodes.Binary():
                    result = self.binary(expression, scope, place)
                case nodes.Conditional(test=test, then=then, otherwise=otherwise):
                    chosen = self.evaluate(test, scope, place)
                    if isinstance(chosen, Deferred):
                        result = Deferred(expression, scope)
                    else:
                        result = self.evaluate(then if truth(chosen, test.span) else otherwise, scope, place)
                case nodes.Chain():
                    result = self.joined(expression, scope, place)
                case nodes.Overridden():
                    result = self.overridden(expression, scope, place)
                case _:
                    assert_never(expression)
        finally:
            self.depth -= 1
        if isinstance(result, ChainValue):
            self.check_chain(result, expression.span)
        return result

    def check_chain(self, chain: ChainValue, span: Span) -> None:
        """Raises SpecError for a chain that could not be worked with: too long, or nested too deep."""
        if chain.size > self.max_parts:
            raise too_many_parts(chain.size, self.max_parts, span)
        if chain.depth > MAX_CHAIN_NESTING:
            message = f"chains are nested more than {MAX_CHAIN_NESTING} deep in arguments here"
            raise fail("nesting-too-deep", message, span)

    def joined(self, node: nodes.Chain, scope: Scope, place: Place | None) -> ChainValue:
        items: list[Item] = []
        for link in node.links:
            items += self.chain_items(link, scope, place)
            if len(items) > self.max_parts:
                raise too_many_parts(len(items), self.max_parts, node.span)
        return ChainValue(tuple(items))

    def resolve(self, value: Value, place: Place) -> Value:
        """The value at a place: no longer Deferred."""
        if not isinstance(value, Deferred):
            return value
        key = id(value.expression), id(value.scope)
        _, known = place.resolved.get(key, (value, None))
        if known is not None:
            return known
        if key in place.resolved:
            raise fail("circular-value", "this value depends on itself", value.expression.span)
        place.resolved[key] = value, None
        try:
            result = self.evaluate(value.expression, value.scope, place)
        finally:
            del place.resolved[key]
        place.keep(value, result)
        return result

    def chain(self, expression: nodes.Expression, scope: Scope, place: Place | None = None) -> ChainValue:
        """The value of an expression that must be an operator or a chain; one that waits for its place is an item."""
        return ChainValue(self.chain_items(expression, scope, place))

    def chain_items(self, expression: nodes.Expression, scope: Scope, place: Place | None) -> tuple[Item, ...]:
        value = self.evaluate(expression, scope, place)
        if isinstance(value, Deferred):
            return (value,)
        return as_chain(value, expression.span).items

    def name(self, node: nodes.Name, scope: Scope, place: Place | None) -> Value:
        name = node.name
        bound = scope.bindings.get(name)
        if bound is None and scope is not scope.module.scope:
            bound = scope.module.scope.bindings.get(name)
        if bound is None:
            declared = scope.module.visible.get(name)
            match declared:
                case UnitDeclaration():
                    return self.unit_call(declared, nodes.Call(node, (), node.span), scope, place)
                case NetworkDeclaration():
                    raise fail("wrong-value", f"`{name}` is a network, and stands where a value must", node.span)
                case LetDeclaration(module=module):
                    bound = module.scope.bindings[name]
                case None:
                    return self.builtin(node, scope, place)
        if not isinstance(bound, Lazy):
            return self.resolve(bound, place) if place is not None else bound
        if bound.running:
            raise fail("circular-value", f"`{name}` depends on itself", node.span)
        bound.running = True
        try:
            value = self.evaluate(bound.expression, bound.scope)
        finally:
            bound.running = False
        bound.scope.bindings[name] = value
        return self.resolve(value, place) if place is not None else value

    def builtin(self, node: nodes.Name, scope: Scope, place: Place | None) -> Value:
        name = node.name
        if name in PLACE_NAMES:
            return self.place_value(node, scope, place)
        if name in PLACEMENTS:
            return PLACEMENTS[name].at(node.span)
        if name in TAPS:
            return TAPS[name]
        match name:
            case "identity":
                return IDENTITY
            case "none":
                return ChainValue((Nothing(node.span),))
            case "norm" | "act":
                return ChainValue((SettingUse(Setting(name), node.span),))
            case "zero":
                return Zero()
            case _:
                return self.builtin_call(nodes.Call(node, (), node.span), scope, place)

    def place_value(self, node: nodes.Name, scope: Scope, place: Place | None) -> Value:
        if place is None:
            return Deferred(node, scope)
        if node.name == "count":
            return place.count
        place.used = True
        if place.index is None:
            raise fail(
                "wrong-value",
                f"`{node.name}` is a unit's place among the units of the network, and no unit is here",
                node.span,
            )
        return place.index if node.name == "index" else place.index / max(1, place.count - 1)

    def attribute(self, node: nodes.Attribute, scope: Scope, place: Place | None) -> Value:
        value = self.evaluate(node.value, scope, place)
        if isinstance(value, Deferred):
            return Deferred(node, scope)
        if not isinstance(value, PlacementValue):
            raise fail("wrong-value", f"`.{node.name}` belongs to a placement, and this is {kind_of(value)}", node.span)
        chains = {"pre": value.pre, "mid": value.mid, "post": value.post, "after": value.after}
        if node.name not in chains:
            hint = did_you_mean(node.name, chains)
            raise fail(
                "unknown-name", f"a placement has pre, mid, post and after, no `{node.name}`", node.span, label=hint
            )
        return chains[node.name]

    def call(self, node: nodes.Call, scope: Scope, place: Place | None) -> Value:
        name = node.callee.name
        if name in scope.bindings or name in scope.module.scope.bindings:
            raise fail("not-callable", f"`{name}` is a value and takes no arguments", node.callee.span)
        declared = scope.module.visible.get(name)
        match declared:
            case UnitDeclaration():
                return self.unit_call(declared, node, scope, place)
            case NetworkDeclaration():
                raise fail(
                    "not-callable", f"`{name}` is a network; only `network … = {name}(…)` can call it", node.callee.span
                )
            case LetDeclaration():
                raise fail("not-callable", f"`{name}` is a value and takes no arguments", node.callee.span)
            case None:
                return self.builtin_call(node, scope, place)

    def unit_call(self, unit: UnitDeclaration, node: nodes.Call, scope: Scope, place: Place | None) -> ChainValue:
        bound = self.bind_declared(unit.name, unit.node.parameters, node.arguments, scope, place)
        return ChainValue((Repetition(unit, bound, 1, (), (), node.span),))

    def bind_declared(
        self,
        name: str,
        parameters: tuple[nodes.Parameter, ...],
        arguments: tuple[nodes.Argument, ...],
        scope: Scope,
        place: Place | None,
    ) -> tuple[Bound, ...]:
        """Arguments of a unit or network by their parameters' names, in the order of the parameters."""
        names = [parameter.name for parameter in parameters]
        bound = {
            key: Bound(key, self.evaluate(argument.value, scope, place), argument.value.span)
            for key, argument in match_arguments(name, names, arguments).items()
        }
        return tuple(bound[key] for key in names if key in bound)

    def builtin_call(self, node: nodes.Call, scope: Scope, place: Place | None) -> Value:
        name = node.callee.name
        if name in SIGNATURES:
            return self.operator_call(SIGNATURES[name], node, scope, place)
        if name == "at":
            found = match_arguments("at", list(PLACEMENT_CHAINS), node.arguments)
            chains = {key: self.chain(argument.value, scope, place) for key, argument in found.items()}
            return PlacementValue(**chains)
        if name in INITS:
            return self.init_call(INITS[name], node, scope, place)
        if name in VALUE_NAMES:
            raise fail("not-callable", f"`{name}` takes no arguments", node.span, help=f"write `{name}`")
        raise unknown_name(node.callee, scope.module, scope.bindings, called=True)

    def init_call(self, signature: InitSignature, node: nodes.Call, scope: Scope, place: Place | None) -> Value:
        name, parameter = node.callee.name, signature.parameter
        found = match_arguments(name, [parameter], node.arguments).get(parameter)
        if found is None:
            if signature.default is None:
                help = f"write for instance `{name}({parameter} = 0.02)`"
                raise fail("missing-argument", f"{name} needs `{parameter}`", node.span, help=help)
            return signature.make(signature.default)
        value = self.evaluate(found.value, scope, place)
        if isinstance(value, Deferred):
            return Deferred(node, scope)
        reason = mismatch(signature.kind, value)
        if reason or not isinstance(value, int | float):
            raise fail("wrong-argument", f"`{parameter}` of {name} {reason}", found.value.span)
        return signature.make(float(value))

    def operator_call(self, signature: Signature, node: nodes.Call, scope: Scope, place: Place | None) -> ChainValue:
        if signature.variadic:
            if not node.arguments or any(argument.name is not None for argument in node.arguments):
                raise fail(
                    "wrong-argument", f"{signature.name} takes chains: {signature.name}(chain, chain, …)", node.span
                )
            bound = tuple(
                Bound(str(index), self.evaluate(argument.value, scope, place), argument.value.span)
                for index, argument in enumerate(node.arguments)
            )
            for argument in bound:
                reason = mismatch(Kind.CHAIN, argument.value)
                if reason:
                    raise fail("wrong-argument", f"an argument of {signature.name} {reason}", argument.span)
            return ChainValue((OperatorCall(signature, bound, node.span),))
        names = [parameter.name for parameter in signature.parameters]
        positional = [parameter.name for parameter in signature.parameters if not parameter.keyword_only]
        found = match_arguments(signature.name, names, node.arguments, positional)
        bound_list: list[Bound] = []
        for parameter in signature.parameters:
            if parameter.name not in found:
                continue
            argument = found[parameter.name]
            bound_argument = Bound(parameter.name, self.evaluate(argument.value, scope, place), argument.value.span)
            check_argument(signature.name, parameter, bound_argument)
            bound_list.append(bound_argument)
        missing = missing_arguments(signature, found)
        if missing:
            raise fail("missing-argument", f"{signature.name} needs {missing}", node.span, help=usage(signature))
        return ChainValue((OperatorCall(signature, tuple(bound_list), node.span),))

    def overridden(self, node: nodes.Overridden, scope: Scope, place: Place | None) -> Value:
        value = self.evaluate(node.repetition, scope, place)
        if isinstance(value, Deferred):
            return Deferred(node, scope)
        word = "first" if node.overrides[0].is_first else "last"
        if value == IDENTITY:
            return IDENTITY
        match value:
            case ChainValue(items=(Repetition() as repetition,)):
                pass
            case _:
                raise fail(
                    "wrong-override",
                    f"`{word}(…)` follows a repetition of one unit, and this is {kind_of(value)}",
                    node.span,
                )
        parameters = repetition.unit.node.parameters
        for override in node.overrides:
            if (override.is_first and repetition.first) or (not override.is_first and repetition.last):
                raise fail(
                    "wrong-override", "this copy is overridden twice", override.span, help="put all of it into one"
                )
            bound = self.bind_declared(repetition.unit.name, parameters, override.arguments, scope, place)
            repetition = replace(repetition, first=bound) if override.is_first else replace(repetition, last=bound)
        if repetition.count == 1:
            both = {bound.name for bound in repetition.first} & {bound.name for bound in repetition.last}
            if both:
                raise fail("wrong-override", f"first and last both set `{min(both)}` on the only copy", node.span)
        return ChainValue((repetition,))

    def unary(self, node: nodes.Unary, scope: Scope, place: Place | None) -> Value:
        value = self.evaluate(node.operand, scope, place)
        if isinstance(value, Deferred):
            return Deferred(node, scope)
        if node.operator is UnaryOperator.NOT:
            return not truth(value, node.operand.span)
        number = as_number(value, node.operand.span)
        return -number if node.operator is UnaryOperator.MINUS else number

    def binary(self, node: nodes.Binary, scope: Scope, place: Place | None) -> Value:
        left = self.evaluate(node.left, scope, place)
        if isinstance(left, Deferred):
            return Deferred(node, scope)
        if node.operator in (BinaryOperator.AND, BinaryOperator.OR):
            if truth(left, node.left.span) is (node.operator is BinaryOperator.OR):
                return left
            right = self.evaluate(node.right, scope, place)
            return Deferred(node, scope) if isinstance(right, Deferred) else truth(right, node.right.span)
        right = self.evaluate(node.right, scope, place)
        if isinstance(right, Deferred):
            return Deferred(node, scope)
        if node.operator in (BinaryOperator.EQUAL, BinaryOperator.NOT_EQUAL):
            equal = left == right and isinstance(left, bool) == isinstance(right, bool)
            return equal is (node.operator is BinaryOperator.EQUAL)
        if node.operator is BinaryOperator.MULTIPLY and isinstance(right, ChainValue):
            if place is not None and any(isinstance(item, Repetition) for item in right.items):
                raise units_that_wait(node.span)
            return self.repeat(left, right, node)
        if node.operator is BinaryOperator.MULTIPLY and isinstance(left, ChainValue):
            help = "write the number first: `3 * unit(…)`"
            raise fail("wrong-repetition", "a repetition begins with its number", node.span, help=help)
        return arithmetic(node.operator, as_number(left, node.left.span), as_number(right, node.right.span), node.span)

    def repeat(self, count: Value, chain: ChainValue, node: nodes.Binary) -> ChainValue:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise fail(
                "wrong-repetition",
                f"a repetition takes a whole number from 0, and this is {format_value(count)}",
                node.left.span,
            )
        match chain:
            case ChainValue(items=(Repetition(count=1, first=(), last=()) as repetition,)):
                if count == 0:
                    return IDENTITY
                return ChainValue((replace(repetition, count=count, span=node.span),))
            case _:
                if count * chain.size > self.max_parts:
                    raise too_many_parts(count * chain.size, self.max_parts, node.span)
                return ChainValue(chain.items * count)


def units_that_wait(span: Span) -> SpecError:
    """Units are counted before any has a place, so how many there are cannot wait for one."""
    message = "which units stand here depends on the number of units, or on their place"
    help = "`count`, `index` and `position` are for arguments of operators"
    return fail("wrong-repetition", message, span, help=help)


def too_many(count: int, limit: int, span: Span) -> SpecError:
    message = f"these are {count:,} units, and a network may have {limit:,}"
    return fail("too-many-units", message, span, help="raise the limit with `--max-units`")


def too_many_parts(count: int, limit: int, span: Span) -> SpecError:
    return fail(
        "too-many-units", f"this writes out {count:,} operators or units, and {limit:,} may be", span,
        help="say it with repeated units, which are written out once, or raise the limit with `--max-units`",
    )  # fmt: skip


def as_chain(value: Value, span: Span) -> ChainValue:
    if not isinstance(value, ChainValue):
        raise fail("wrong-value", f"an operator or a chain must stand here, and this is {kind_of(value)}", span)
    return value


def unknown_name(node: nodes.Name, module: Module, names: Iterable[str], *, called: bool = False) -> SpecError:
    """The error for a name that nothing declares: neither the file, nor the unit or network around, with `names`."""
    known = [*module.visible, *CALL_NAMES] if called else [*module.visible, *VALUE_NAMES, *names]
    what = "unit or operator" if called else "value, unit or operator"
    word = node.name.lower().replace("_", "").removesuffix("2d").removesuffix("1d")
    meant = word if word in SIGNATURES else OTHER_NAMES.get(word)
    hint = f"here it is `{meant}`" if meant else did_you_mean(node.name, known)
    return fail("unknown-name", f"there is no {what} `{node.name}`", node.span, label=hint)
