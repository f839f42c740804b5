"""A suppression without a reason.

Whoever reads it later cannot tell whether the reason still holds, and dares neither to keep nor to remove it. The
reason stands in brackets behind the rules' names; where a paper's network is repeated it is the paper.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit halved(width) {
    placement  pre
    branch     conv(3x3, width) -> conv(3x3, width)
    shortcut   scale(0.5)  # resdsl: allow shortcut-scale
}

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 2 * halved(16)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit halved(width) {
    placement  pre
    branch     conv(3x3, width) -> conv(3x3, width)
    shortcut   scale(0.5)  # resdsl: allow shortcut-scale (an ablation of He et al. 2016, Table 1)
}

network small {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 2 * halved(16)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile


def check(file: LintedFile) -> Iterator[Finding]:
    comments = {allowed.comment: allowed for allowed in file.suppressions(file.source)}
    for comment, allowed in comments.items():
        if allowed.rule and not allowed.reason:
            help = f"say why: `{' '.join(comment.text.removesuffix('()').split())} (an ablation)`"
            yield Finding(Severity.WARNING, "this gives no reason for what it allows", (comment,), help=help)
