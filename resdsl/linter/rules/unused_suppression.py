"""A suppression that suppresses nothing.

What it allowed is no longer there, or it stands in the wrong line; either way it would hide the next finding of its rule.

A comment is judged only where its rule has looked: not while the rule is deselected, and not in a file with networks that
cannot be built without parameters, in which it may have its reason.

## Example

```resnet
resnet 1

network small {
    # resdsl: allow shortcut-scale (an ablation)
    input 3x32x32
    stem  conv(3x3, 16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

The rule's name goes from the comment, or all of the comment with it. Safe.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix, Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile


def check(file: LintedFile) -> Iterator[Finding]:
    if not file.complete:
        return
    words = {word for rule in file.ran for word in (rule.name, rule.code)}
    comments = file.suppressions(file.source)
    for allowed in comments:
        if allowed.rule not in words or allowed in file.used:
            continue
        alone = sum(other.comment == allowed.comment for other in comments) == 1
        fix = Fix("remove the suppression", (Edit(allowed.comment, ""),), safe=True) if alone else None
        yield Finding(
            Severity.WARNING, f"this allows nothing: {allowed.rule} finds nothing here", (allowed.span,), fix=fix
        )
