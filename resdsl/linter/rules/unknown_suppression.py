"""A suppression that names no rule.

It allows nothing, so what it was meant for is still told, or will be. A suppression names rules by name or code, each
of them: no groups as `SC`, and no words but these, for the reason stands in brackets, behind all of them. `# resdsl:` is
followed by `allow` or `allow-file` and by nothing else.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit halved(width) {
    placement  pre
    branch     conv(3x3, width) -> conv(3x3, width)
    shortcut   scale(0.5)  # resdsl: allow shortcut-scal (an ablation of He et al. 2016, Table 1)
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

## Fix

Where exactly one rule's name is close, that is written. Safe: comments are no part of a network.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from resdsl.diagnostics import Edit, Fix, Severity, did_you_mean
from resdsl.linter.rule import Finding
from resdsl.linter.select import Selection
from resdsl.linter.subject import LintedFile
from resdsl.linter.suppressions import Allowed, other_words
from resdsl.source import Span

EXAMPLE = "`# resdsl: allow shortcut-scale (why it is so)`"
CLOSE = 0.9
"""How like a name a word must be, by difflib's measure, to be taken for it."""
_BEHIND = re.compile(r"[ \t]*(?:[,;&]|and\b)?[ \t]*(?P<name>[\w-]+)")


def check(file: LintedFile) -> Iterator[Finding]:
    for span in other_words(file.tree):
        word = "" if span.text.startswith("#") else span.text
        message = f"`resdsl: {word}` is no suppression" if word else "nothing follows `resdsl:`"
        help = did_you_mean(word, ("allow", "allow-file")) or f"write {EXAMPLE}"
        yield Finding(Severity.WARNING, message, (span,), help=help)
    known = {word for rule in file.rules for word in (rule.name, rule.code)}
    strange: dict[Span, list[Allowed]] = {}
    written = file.suppressions(file.source)
    for comment in dict.fromkeys(allowed.comment for allowed in written):
        behind = _named_behind(file, comment)
        if behind is not None:
            message = f"this does not allow `{behind.text}`: it stands behind the reason"
            name = _meant(file, behind.text)[0]
            help = f"name it before the reason, or in a suppression of its own, `# resdsl: allow {name} (…)`"
            yield Finding(Severity.WARNING, message, (behind,), help=help)
    for allowed in written:
        group = [rule.name for rule in file.rules if Selection((allowed.rule,)).has(rule)]
        meant = _meant(file, allowed.rule)
        if allowed.rule in known:
            continue
        if not allowed.rule:
            message, help = "this allows nothing: it names no rule", f"write {EXAMPLE}"
            yield Finding(Severity.WARNING, message, (allowed.span,), help=help)
        elif group:
            message, help = f"`{allowed.rule}` is a group of rules", f"name each of them, as `{group[0]}`"
            yield Finding(Severity.WARNING, message, (allowed.span,), help=help)
        elif len(meant) == 1:
            message, help = f"there is no rule `{allowed.rule}`", f"did you mean `{meant[0]}`?"
            fix = Fix(f"write `{meant[0]}`", (Edit(allowed.span, meant[0]),), safe=True)
            yield Finding(Severity.WARNING, message, (allowed.span,), help=help, fix=fix)
        else:
            strange.setdefault(allowed.comment, []).append(allowed)
    for words in strange.values():
        span = words[0].span.to(words[-1].span)
        if words[0].rule.startswith(":"):
            names = [name for each in written if each.comment == words[0].comment and (name := each.rule.strip(":"))]
            word = "allow-file" if words[0].lines is None else "allow"
            help = (
                f"write `# resdsl: {word} {', '.join(names)} (…)`"
                if names and known.issuperset(names)
                else f"write {EXAMPLE}"
            )
            yield Finding(Severity.WARNING, f"a colon behind `{word}`", (span,), help=help)
            continue
        near = did_you_mean(span.text, [rule.name for rule in file.rules])
        help = near or f"`resdsl rules` lists them; a reason stands in brackets: {EXAMPLE}"
        message = f"there {'is no rule' if len(words) == 1 else 'are no rules'} `{span.text}`"
        yield Finding(Severity.WARNING, message, (span,), help=help)


def _named_behind(file: LintedFile, comment: Span) -> Span | None:
    """The rule that is named behind the reason of a suppression, as if it were allowed too."""
    match = _BEHIND.match(comment.source.text, comment.end)
    if match is None or not comment.text.endswith(")") or not _meant(file, match["name"]):
        return None
    return Span(comment.source, *match.span("name"))


def _meant(file: LintedFile, word: str) -> list[str]:
    """The rules that a word may stand for: by code in other letters, or by a name that is close."""
    word = word.rstrip(":;.")
    codes = [rule.code for rule in file.rules if rule.code == word.upper()]
    names = [rule.name for rule in file.rules]
    written = word.lower().replace("_", "-")
    return codes or [name for name in names if name == written] or difflib.get_close_matches(written, names, 2, CLOSE)
