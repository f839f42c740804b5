"""A bottleneck that strides, with no word on which of its convolutions is meant to.

Where a branch has convolutions of different kernels, the stride may stand in the first 1x1 or in the 3x3: two
networks, with the same parameters. Published code has both under the same names, so a reader cannot know whether the
stride stands where it does on purpose. Say so in a docstring or a comment of the unit, or in the docstring of the
network.

Any word such as stride or striding counts, in the docstring of the unit or of the network (or of what that is an
alias of), and in comments inside the unit or directly above it.

## Evidence

The code released with He et al. 2016 strides in the first 1x1, torchvision and timm in the 3x3. Convolutions and
linear layers of the pre-activated ResNet-164 for CIFAR make 244,500,992 multiply-accumulates in the one and
247,646,720 in the other, 1.3 % more. Weights of one fit the other without an error, and give other results.

## Severity

Always a note.

## Example

```resnet
resnet 1

unit bottleneck(width, stride = 1) {
    placement  pre
    branch     conv(1x1, width, stride) -> conv(3x3, width) -> conv(1x1, 4 * width)
    shortcut   identity
    projection conv(1x1)
}

network preact164 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bottleneck(16)
    stage 18 * bottleneck(32) first(stride = 2)
    stage 18 * bottleneck(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

\"\"\"Strides in the first 1x1, as the code of He et al. 2016; libraries stride in the 3x3.\"\"\"
unit bottleneck(width, stride = 1) {
    placement  pre
    branch     conv(1x1, width, stride) -> conv(3x3, width) -> conv(1x1, 4 * width)
    shortcut   identity
    projection conv(1x1)
}

network preact164 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bottleneck(16)
    stage 18 * bottleneck(32) first(stride = 2)
    stage 18 * bottleneck(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.identity import written_unit
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork, Site, modules
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.network import inner_chains
from resdsl.network.types import Pair
from resdsl.semantics.instantiate import alias_target
from resdsl.syntax import nodes

_SAID = re.compile(r"\bstrid(?:e|ing)", re.IGNORECASE)
_SUPPRESSION = re.compile(r"#\s*resdsl:")


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        if any(_SAID.search(doc) for doc in _docs(network)):
            continue
        for group, (first, *_) in network.grouped_parts(_striding(network)):
            if _is_said(file, written_unit(file, network, group.own[0])):
                continue
            height, width = first.kernel
            yield Finding(
                Severity.NOTE,
                f"the {height}x{width} convolution strides in {counted(group.copies, 'unit')}, and no docstring or comment "
                "says that it is meant to; the code of He et al. 2016 strides in the first 1x1, libraries in the 3x3",
                group.spans,
                network,
                amount=group.copies,
                help="say in the unit's docstring which one strides",
            )


def _striding(network: LintedNetwork) -> Iterator[tuple[Site, str, op.Conv]]:
    for site in network.sites:
        if site.unit.changes_shape and site.unit.shortcut.chain is not None:
            found = next(_movable(site.unit.branch, f"{site.pointer}/branch", frozenset()), None)
            if found is not None:
                yield site, *found


def _movable(chain: op.Chain, pointer: str, around: frozenset[Pair]) -> Iterator[tuple[str, op.Conv]]:
    """Convolutions with a stride and with another kernel on their path. around: the kernels of the path outside."""
    counts = Counter(kernel for element in chain for kernel in _kernels(element))

    def beside(element: op.Operator) -> frozenset[Pair]:
        own = _kernels(element)
        return around | {kernel for kernel, count in counts.items() if count > (kernel in own)}

    for index, element in enumerate(chain):
        here = f"{pointer}/{index}"
        match element:
            case op.Conv(stride=stride, kernel=kernel) if stride > 1 and beside(element) - {kernel}:
                yield here, element
            case op.Concat(chains=chains):
                for number, inner in enumerate(chains):
                    yield from _movable(inner, f"{here}/concat/chains/{number}", beside(element))
            case op.Partial(chain=inner):
                yield from _movable(inner, f"{here}/partial/chain", beside(element))
            case _:
                pass


def _kernels(element: op.Element) -> frozenset[Pair]:
    """Those of an element's convolutions, units aside."""
    match element:
        case op.Units():
            return frozenset()
        case op.Conv(kernel=kernel):
            return frozenset((kernel,))
        case _:
            return frozenset(kernel for chain in inner_chains(element) for part in chain for kernel in _kernels(part))


def _is_said(file: LintedFile, unit: nodes.Unit | None) -> bool:
    """Whether a unit's docstring or comments say something about strides, suppressions aside."""
    tree = next((each.file for each in modules(file.module) if unit and each.file.source is unit.span.source), None)
    if unit is None or tree is None:
        return False
    first, last = (tree.source.line_column(offset)[0] for offset in (unit.span.start, unit.span.end))
    comments = {tree.source.line_column(comment.span.start)[0]: comment.text for comment in tree.comments}
    while comments.get(first - 1) == tree.source.line_text(first - 1).strip():
        first -= 1
    texts = [unit.doc, *(text for line, text in comments.items() if first <= line <= last)]
    return any(_SAID.search(text) and not _SUPPRESSION.match(text) for text in texts)


def _docs(network: LintedNetwork) -> Iterator[str]:
    """The docstrings of a network, of what it is an alias of, and so on."""
    declared = network.declaration
    while isinstance(declared.node, nodes.Alias):
        yield declared.node.doc
        declared = alias_target(declared)
    yield declared.node.doc
