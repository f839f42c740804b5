"""A `let` that nothing reads.

It may be left over, or a slip: a value that was meant to be used and is not.

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

The `let` goes. Safe in a unit or network; unsafe between them, where a file that imports this one may read it.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix, Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.syntax import nodes
from resdsl.syntax.walk import names_in


def check(file: LintedFile) -> Iterator[Finding]:
    for item in file.tree.items:
        match item:
            case nodes.Unit(body=body) | nodes.Network(body=body):
                used = names_in(item)
                lets = [part for part in body if isinstance(part, nodes.Let)]
                yield from (_finding(let, safe=True) for let in lets if let.name not in used)
            case nodes.Let(name=name) if file.networks and not any(
                name in names_in(other) for other in file.tree.items
            ):
                yield _finding(item, safe=False)
            case _:
                pass


def _finding(let: nodes.Let, *, safe: bool) -> Finding:
    fix = Fix("remove the `let`", (Edit(let.span, ""),), safe)
    return Finding(Severity.WARNING, f"nothing reads `{let.name}`", (let.span,), fix=fix)
