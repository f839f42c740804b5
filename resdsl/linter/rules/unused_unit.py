"""A unit that no network of the file uses.

It may be left over, or a slip: another was meant where one is used. What only unused units use is unused too. A file
without networks lends its units to others, and is not looked at. One that does both can say so, in a suppression with
its reason; clearer are two files.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit basic(width) {
    branch   conv(3x3, width) -> bn -> relu -> conv(3x3, width) -> bn
    shortcut identity
}

unit wide(width) {
    branch   bn -> relu -> conv(3x3, width)
    shortcut identity
}

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    head  avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit basic(width) {
    branch   conv(3x3, width) -> bn -> relu -> conv(3x3, width) -> bn
    shortcut identity
}

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    head  avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.reads import unused_units
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile


def check(file: LintedFile) -> Iterator[Finding]:
    for unit in unused_units(file.tree.items):
        yield Finding(
            Severity.WARNING,
            f"no network of this file uses the unit `{unit.name.name}`",
            (unit.name.span,),
            help="remove it, unless another file imports it",
        )
