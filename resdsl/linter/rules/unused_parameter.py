"""A parameter that changes nothing.

No clause and no assertion reads it, not even through a `let` or the default of another parameter; in an alias, nothing
that it passes on does: a parameter of the alias does not reach one of the same name by itself. Whoever sets it, in a
call or with `-p`, believes that something happens.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
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

## Use instead

```resnet
resnet 1

unit basic(width, stride = 1) {
    branch     conv(3x3, width, stride) -> bn -> relu -> conv(3x3, width) -> bn
    shortcut   identity
    projection conv(1x1)
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
from resdsl.linter.reads import alias_of, unused_parameters
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.semantics.program import NetworkDeclaration
from resdsl.syntax import nodes


def check(file: LintedFile) -> Iterator[Finding]:
    for item in file.tree.items:
        match item:
            case nodes.Unit() | nodes.Network() | nodes.Alias():
                for parameter in unused_parameters(item):
                    message = f"the parameter `{parameter.name}` of {item.name.name} changes nothing"
                    help = _passed_on(file, item, parameter.name) or "use it, or remove it here and where it is set"
                    yield Finding(Severity.WARNING, message, (parameter.span,), help=help)
            case nodes.Import() | nodes.Let():
                pass


def _passed_on(file: LintedFile, item: nodes.Item, name: str) -> str:
    """What to write if the parameter of an alias is to set that of the same name."""
    target = alias_of(item.value) if isinstance(item, nodes.Alias) else ""
    declared = file.module.visible.get(target)
    if isinstance(declared, NetworkDeclaration) and any(each.name == name for each in declared.node.parameters):
        return f"pass it on: `{target}({name} = {name})`"
    return ""
