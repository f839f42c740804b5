"""A `let` that nothing reads.

It may be left over, or a slip: a value that was meant to be used and is not. A `let` that only such a one reads, or
whose name a parameter takes over wherever it is read, is unused too. Between declarations this is only asked in a file
with networks: others may be there for their `let`s.

## Severity

Always a warning.

## Example

```resnet
resnet 1

network small {
    let width = 32
    input 3x32x32
    stem  conv(3x3, 16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

network small {
    let width = 32
    input 3x32x32
    stem  conv(3x3, width)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

In a unit or network, the `let` goes; comments stay. Safe: nothing reads it. One between them stays: another file may
import it.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.edits import removal
from resdsl.linter.reads import unused_inner_lets, unused_lets
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.syntax import nodes
from resdsl.syntax.walk import names


def check(file: LintedFile) -> Iterator[Finding]:
    if file.module.networks():
        yield from _findings(file, unused_lets(file.tree.items), inside=False)
    for item in file.tree.items:
        if isinstance(item, nodes.Unit | nodes.Network):
            yield from _findings(file, unused_inner_lets(item), inside=True)


def _findings(file: LintedFile, unused: list[nodes.Let], *, inside: bool) -> Iterator[Finding]:
    """About `let`s of one scope, which is a unit or network if `inside`."""
    help = "" if inside else "remove it, unless another file imports it"
    for let in unused:
        others = names(other.value for other in unused if other is not let)
        message = f"nothing reads `{let.name}`" + (" but what is unused itself" if let.name in others else "")
        fix = Fix("remove the `let`", tuple(removal(file.tree, let.span)), safe=True) if inside else None
        yield Finding(Severity.WARNING, message, (let.span,), help=help, fix=fix)
