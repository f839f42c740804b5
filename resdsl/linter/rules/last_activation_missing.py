"""A pre-activated network whose last sum reaches the next weight layer as it is.

Under pre-activation nothing follows the addition: each unit activates what it reads. The last unit has none behind
it, so what it gives needs a norm and an activation of its own before the classifier reads it. Otherwise that reads
the sum of all branches, which grows with their number and has not been rectified.

A network without a weight layer behind its last unit is left alone.

## Evidence

He et al. 2016, appendix: an extra BN and ReLU follow the last unit. Leaving them out is among the mistakes that
reimplementations make; nothing fails, since the shapes are the same.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact20 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    stage 3 * basic(32) first(stride = 2)
    stage 3 * basic(64) first(stride = 2)
    head  avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact20 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    stage 3 * basic(32) first(stride = 2)
    stage 3 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

What is missing stands in front of the head, or beside the norm or activation that the head has, if the head is in
this file and no other network of the file does without. Unsafe: it is another network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields

from resdsl.diagnostics import Edit, Fix, Severity
from resdsl.linter.main_path import End, Ends, Part, chain_parts, ends, entry, first_of
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork
from resdsl.linter.written_ends import links, sharing, written_clause
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.semantics.values import format_number
from resdsl.source import Span
from resdsl.syntax.nodes import ClauseKind


@dataclass(frozen=True, slots=True)
class _Missing:
    """What no operator between the last unit and the layer does: norm, activation or both, as the units have them.

    beside: the norm or activation that stands there. layer: the weight layer that reads the sum.
    """

    last: End
    norm: op.Element | None
    activation: op.Element | None
    beside: Part | None
    layer: Part

    @property
    def words(self) -> str:
        missing = (each for each in (self.norm, self.activation) if each is not None and not isinstance(each, op.Units))
        return " -> ".join(op.OPERATOR_NAMES[type(each)] for each in missing)


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        missing = _missing(network)
        if missing is None:
            continue
        layer = missing.layer.element
        assert not isinstance(layer, op.Run)
        yield Finding(
            Severity.WARNING,
            f"no {missing.words} between the last unit and the {op.OPERATOR_NAMES[type(layer)]} that reads its sum; He et al. "
            "2016, appendix: an extra BN and ReLU follow the last pre-activated unit",
            network.spans(missing.layer.pointer),
            network,
            help="begin the head with it: `head norm -> act -> …`",
            fix=_adding(file, network, missing),
        )


def _missing(network: LintedNetwork) -> _Missing | None:
    path = ends(network.network)
    if path is None or path.last.unit.shortcut.chain is None:
        return None
    lead = entry(path.last.unit)
    norm, activation = first_of(lead, NORMS), first_of(lead, ACTIVATIONS)
    beside: Part | None = None
    for part in _rest(path):
        match part.element:
            case op.Conv() | op.Linear():
                return _Missing(path.last, norm, activation, beside, part) if norm or activation else None
            case op.Run() | op.Concat() | op.Partial() | op.SqueezeExcite():
                return None
            case element if isinstance(element, NORMS):
                norm, beside = None, part
            case element if isinstance(element, ACTIVATIONS):
                activation, beside = None, part
            case _:
                pass
    return None


def _rest(path: Ends) -> list[Part]:
    """What follows the addition of the last unit."""
    return [*chain_parts(path.last.unit.after, f"{path.last.pointer}/after"), *path.behind]


def _adding(file: LintedFile, network: LintedNetwork, missing: _Missing) -> Fix | None:
    head = written_clause(file, network, ClauseKind.HEAD)
    path = ends(network.network)
    if head is None or path is None or not all(part.pointer.startswith("/head/") for part in path.behind):
        return None
    others = [_missing(other) for other in sharing(file, network)]
    if any(other is None or other.words != missing.words for other in others):
        return None
    message = f"add {missing.words}"
    parts = [(ClauseKind.NORM, missing.norm), (ClauseKind.ACT, missing.activation)]
    words = " -> ".join(_written(file, network, kind, part) for kind, part in parts if part is not None)
    span = head.value.span if missing.beside is None else network.spans(missing.beside.pointer)[0]
    if missing.beside is not None and not any(link.span == span for link in links(head.value)):
        return None
    if missing.beside is not None and missing.activation:
        return Fix(message, (Edit(Span(span.source, span.end, span.end), f" -> {words}"),), safe=False)
    return Fix(message, (Edit(Span(span.source, span.start, span.start), f"{words} -> "),), safe=False)


def _written(file: LintedFile, network: LintedNetwork, kind: ClauseKind, operator: op.Element) -> str:
    """`norm` or `act` where the network's setting is this operator, else the operator itself."""
    values = (
        f"{field.name} = {format_number(value)}" if field.default is not MISSING else format_number(value)
        for field in fields(operator)
        if (value := getattr(operator, field.name)) != field.default
    )
    assert not isinstance(operator, op.Units)
    name = op.OPERATOR_NAMES[type(operator)]
    arguments = ", ".join(values)
    text = f"{name}({arguments})" if arguments else name
    clause = written_clause(file, network, kind)
    setting = [link.span.text for link in links(clause.value)] if clause is not None else ["bn", "relu"]
    return kind.value if text in setting else text
