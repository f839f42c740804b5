"""A suppression that suppresses nothing.

What it allowed is no longer there, or it stands in the wrong line; either way it would hide the next finding of its
rule.

A comment is judged only where its rule has looked: not while the rule is deselected; for a rule about networks, not in
a file of which some network cannot be built without parameters, nor in a unit that no network of the file uses. There
it may have its reason. Suppressions of the rules about suppressions are not judged.

## Severity

Always a warning.

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

The rule's name goes from the comment, or all of the comment with it; other words in it stay. Safe: comments are no part
of a network.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix, Severity
from resdsl.linter.reads import unused_units
from resdsl.linter.rule import Finding, Rule
from resdsl.linter.subject import LintedFile
from resdsl.linter.suppressions import GROUP, Allowed
from resdsl.source import Span

ABOUT_THE_TEXT = "HY"
"""The rules that need no network to look."""
_SET_OFF = " \t,;:.-"
"""What may stand between a suppression and further words."""


def check(file: LintedFile) -> Iterator[Finding]:
    rules = {word: rule for rule in file.ran for word in (rule.name, rule.code)}
    comments = file.suppressions(file.source)
    unseen = [_lines(unit.span) for unit in unused_units(file.tree.items)]
    for allowed in comments:
        rule = rules.get(allowed.rule)
        if rule is None or allowed in file.used or not _has_looked(file, rule, allowed, unseen):
            continue
        edit = _removing(allowed, [other for other in comments if other.comment == allowed.comment])
        yield Finding(
            Severity.WARNING,
            f"this allows nothing: {allowed.rule} finds nothing here",
            (allowed.span,),
            fix=Fix("remove the suppression", (edit,), safe=True),
        )


def _has_looked(file: LintedFile, rule: Rule, allowed: Allowed, unseen: list[range]) -> bool:
    """Whether the rule would have found what the comment allows. unseen: the lines of units in no network."""
    if rule.code.startswith(GROUP):
        return False
    inside = allowed.lines is not None and any(allowed.lines[-1] in unit for unit in unseen)
    return rule.code.startswith(ABOUT_THE_TEXT) or (file.complete and not inside)


def _lines(span: Span) -> range:
    location = span.location()
    return range(location.line, location.end_line + 1)


def _removing(allowed: Allowed, together: list[Allowed]) -> Edit:
    """Takes a rule out of its comment, with the comma that then is one too many; the last takes all with it."""
    source, place = allowed.span.source, together.index(allowed)
    if len(together) == 1:
        return _removing_all(allowed.comment)
    if place + 1 < len(together):
        return Edit(Span(source, allowed.span.start, together[place + 1].span.start), "")
    return Edit(Span(source, together[place - 1].span.end, allowed.span.end), "")


def _removing_all(comment: Span) -> Edit:
    """Takes a suppression out of its comment, with what sets off the words behind it; these stay, as a comment."""
    source = comment.source
    line, column = source.line_column(comment.end)
    behind = source.line_text(line).rstrip()[column - 1 :]
    words = behind.lstrip(_SET_OFF)
    span = Span(source, comment.start, comment.end + len(behind) - len(words))
    return Edit(span, "# " if words and not words.startswith("#") else "")
