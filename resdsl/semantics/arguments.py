"""The arguments of a call: which parameter each is for, which are missing, whether they are of its kind."""

from __future__ import annotations

from resdsl.diagnostics import did_you_mean, fail
from resdsl.semantics.signatures import Parameter, Required, Signature, mismatch
from resdsl.semantics.values import Bound
from resdsl.syntax import nodes


def match_arguments(
    callee: str, names: list[str], arguments: tuple[nodes.Argument, ...], positional: list[str] | None = None
) -> dict[str, nodes.Argument]:
    """Arguments by parameter name. Raises SpecError for one too many, an unknown name or one given twice."""
    positional = names if positional is None else positional
    found: dict[str, nodes.Argument] = {}
    for index, argument in enumerate(arguments):
        name = argument.name
        if name is None:
            if index >= len(positional):
                takes = "takes no arguments"
                if positional:
                    most = "1 argument" if len(positional) == 1 else f"{len(positional)} arguments"
                    takes = f"takes {most} at most, and this is number {index + 1}"
                raise fail("wrong-argument", f"{callee} {takes}", argument.span)
            name = positional[index]
        elif name not in names:
            known = f"it has {', '.join(names)}" if names else "it has none"
            hint = did_you_mean(name, names)
            raise fail("unknown-argument", f"{callee} has no parameter `{name}`; {known}", argument.span, label=hint)
        if name in found:
            raise fail("wrong-argument", f"`{name}` of {callee} is given twice", argument.span)
        found[name] = argument
    return found


def missing_arguments(signature: Signature, given: dict[str, nodes.Argument]) -> str:
    missing = [p.name for p in signature.parameters if isinstance(p.default, Required) and p.name not in given]
    if signature.name == "avgpool" and len(given) > 0 and not {"kernel", "stride"} <= given.keys():
        missing = [name for name in ("kernel", "stride") if name not in given]
    return " and ".join(f"`{name}`" for name in missing)


def usage(signature: Signature) -> str:
    """`conv(kernel, channels, stride, …)`."""
    if signature.variadic:
        return f"{signature.name}(chain, chain, …)"
    return f"{signature.name}({', '.join(parameter.name for parameter in signature.parameters)})"


def check_argument(callee: str, parameter: Parameter, bound: Bound) -> None:
    """Raises SpecError if the value is not of the parameter's kind."""
    reason = mismatch(parameter.kind, bound.value)
    if reason:
        raise fail("wrong-argument", f"`{parameter.name}` of {callee} {reason}", bound.span)
