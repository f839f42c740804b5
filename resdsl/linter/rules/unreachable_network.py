"""A network that nothing builds.

It has a parameter without a value, and no network of the file sets that. `check` and `lint` pass it by: mistakes in it
come to light when someone builds it with `-p`, or not at all. A default, or an alias that gives an example, lets them
look.

## Severity

A note: a network that is there for other files to complete may want it so.

## Example

```resnet
resnet 1

network plain(depth) {
    input 3x32x32
    stem  depth * conv(3x3, 16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

network plain(depth) {
    input 3x32x32
    stem  depth * conv(3x3, 16)
    head  bn -> relu -> avgpool -> linear(10)
}

network plain9 = plain(9)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity, SpecError
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.semantics.instantiate import alias_target, parameters_of
from resdsl.semantics.program import NetworkDeclaration
from resdsl.syntax import nodes


def check(file: LintedFile) -> Iterator[Finding]:
    networks = file.module.networks()
    missing = {network: _missing(network) for network in networks}
    built = {other for network in networks if missing[network] == [] for other in _targets(network)}
    for network in networks:
        names = missing[network]
        if names and network not in built:
            values = " and ".join(f"`{name}`" for name in names) + (" has" if len(names) == 1 else " have")
            yield Finding(
                Severity.NOTE,
                f"nothing here builds {network.name}, so nothing checks it: {values} no value",
                (network.node.name.span,),
                help=f"give a default, or add an alias that sets {'it' if len(names) == 1 else 'them'}",
            )


def _missing(network: NetworkDeclaration) -> list[str] | None:
    """The parameters without a value; None where an error leaves that open."""
    try:
        return [name for name, parameter in parameters_of(network).items() if parameter.default is None]
    except SpecError:
        return None


def _targets(network: NetworkDeclaration) -> Iterator[NetworkDeclaration]:
    """What a network that can be built is an alias of, and so on."""
    while isinstance(network.node, nodes.Alias):
        network = alias_target(network)
        yield network
