"""Fitting: a shortcut's conv, linear or pad takes unwritten channels and stride from the branch's result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resdsl.diagnostics import SpecError, fail
from resdsl.network.operators import Chain, Element, Pad
from resdsl.network.shapes import chain_output, output
from resdsl.network.types import Image, Shape, Vector
from resdsl.semantics.build import Fit
from resdsl.semantics.values import ChainValue, OperatorCall
from resdsl.source import Span

FITTED = {"conv": "channels", "linear": "features", "pad": "channels"}
"""The operators that fit, with the name of their channel argument."""

Lower = Callable[[ChainValue, Shape, Fit], Chain]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A lowered shortcut, or why it has no result of the branch's shape."""

    chain: Chain | None
    output: Shape | None
    problem: SpecError | None = None


def fit_chain(chain: ChainValue, source: Shape, target: Shape, lower: Lower) -> Fitted:
    """The shortcut `chain` from shape `source`, made to give `target` where it leaves channels or stride unwritten.

    `chain` is None where it does not give the target's shape. Raises SpecError where two operators could take the same.
    """
    calls = [item for item in chain.items if isinstance(item, OperatorCall) and item.signature.name in FITTED]
    open_channels = [call for call in calls if call.argument(FITTED[call.signature.name]) is None]
    open_strides = [call for call in calls if call.signature.name != "linear" and call.argument("stride") is None]
    if len(open_channels) > 1:
        raise _ambiguous(open_channels[1], "channels")
    result = _attempt(chain, source, target, 1, lower)
    if result.chain is not None or not open_strides or result.output is None:
        return result
    if not isinstance(source, Image) or not isinstance(target, Image):
        return result
    if len(open_strides) > 1:
        raise _ambiguous(open_strides[1], "stride")
    for stride in range(2, max(source.height, source.width) + 1):
        strided = _attempt(chain, source, target, stride, lower)
        if strided.chain is not None:
            return strided
        reached = strided.output
        if not isinstance(reached, Image) or reached.height < target.height or reached.width < target.width:
            break
    return result


def _attempt(chain: ChainValue, source: Shape, target: Shape, stride: int, lower: Lower) -> Fitted:
    try:
        lowered = lower(chain, source, Fit(target.channels, stride))
        result = chain_output(lowered, source)
    except SpecError as problem:
        if any(diagnostic.code != "shape" for diagnostic in problem.diagnostics):
            raise
        return Fitted(None, None, problem)
    return Fitted(_without_idle_pads(lowered, source) if result == target else None, result)


def _without_idle_pads(chain: Chain, shape: Shape) -> Chain:
    """The chain without pads that append nothing and skip nothing."""
    kept: list[Element] = []
    for element in chain:
        if element != Pad(shape.channels, 1):
            kept.append(element)
        shape = output(element, shape)
    return tuple(kept)


def _ambiguous(call: OperatorCall, what: str) -> SpecError:
    return fail(
        "ambiguous-fit",
        f"two operators of this path could take the branch's {what}",
        call.span,
        label="the second",
        help=f"write the {what} of one of them",
    )


def misfit(found: Fitted, source: Shape, target: Shape, where: str, span: Span, help: str) -> SpecError:
    """The error for a shortcut or projection whose result has not the branch's shape, in the unit `where`."""
    if found.problem is not None:
        return found.problem
    message = f"this unit changes the shape: {found.output} meets {target} in {where}"
    if isinstance(source, Image) and isinstance(target, Vector):
        help = "let the projection give a vector, for instance `projection avgpool -> linear`"
    elif isinstance(source, Image) and isinstance(target, Image) and not _strides_to(source, target):
        extents = f"{source.height}x{source.width} to {target.height}x{target.width}"
        help = f"no stride leads from {extents}: look at padding and strides in the branch"
    return fail("shape", message, span, label=f"gives {found.output}; the branch gives {target}", help=help)


def _strides_to(source: Image, target: Image) -> bool:
    """Whether some stride leads from the one height and width to the other, as in a 1x1 convolution."""
    stride = max(1, -(-source.height // target.height))
    return (-(-source.height // stride), -(-source.width // stride)) == (target.height, target.width)
