"""An import of which nothing is read.

What an imported file imports itself stays there, so the import brings in what that file declares and nothing else. If
no declaration here reads any of these names, or an import above has brought them in already, it does nothing.

## Severity

Always a warning.

## Example

```resnet
resnet 1

import "std/units/basic.resnet"
import "std/units/wide.resnet"

network small {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 3 * basic(16)
    head  avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

import "std/units/basic.resnet"

network small {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 3 * basic(16)
    head  avgpool -> linear(10)
}
```

## Fix

The import goes. Safe: no network reads it. A value on the command line, as in `-p 'end=gated(16)'`, may; then it is to
be kept, with a suppression that says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.edits import removal
from resdsl.linter.reads import free_names
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import listed
from resdsl.semantics.program import Module
from resdsl.syntax import nodes


def check(file: LintedFile) -> Iterator[Finding]:
    read = {name for item in file.tree.items for name in free_names(item)}
    imports = [item for item in file.tree.items if isinstance(item, nodes.Import)]
    above: list[Module] = []
    for node, imported in zip(imports, file.module.imports, strict=True):
        if imported in above:
            message = f'"{node.path}" is imported above'
        elif not read & imported.own.keys():
            names = listed([f"`{name}`" for name in imported.own])
            message = f'nothing reads what "{node.path}" declares' + (f": {names}" if names else "")
        else:
            above.append(imported)
            continue
        fix = Fix("remove the import", tuple(removal(file.tree, node.span)), safe=True)
        yield Finding(Severity.WARNING, message, (node.span,), fix=fix)
