"""Which rules are asked for: `--select`, `--ignore`, and the same in pyproject.toml."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resdsl.diagnostics import did_you_mean, fail
from resdsl.linter.rule import Rule

ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rules by code (SC001), name (shortcut-scale) or the beginning of either (SC, shortcut); ALL for all.

    The more exact of two that meet wins, `ignore` where they are equally exact: `select = SC001, ignore = SC` leaves
    one of the SC rules.
    """

    select: tuple[str, ...] = (ALL,)
    ignore: tuple[str, ...] = ()

    def has(self, rule: Rule) -> bool:
        chosen = max((_exactness(rule, word) for word in self.select), default=-1)
        refused = max((_exactness(rule, word) for word in self.ignore), default=-1)
        return chosen > refused


def _exactness(rule: Rule, word: str) -> int:
    """How much of the rule a word names; -1 if it is another's."""
    if word == ALL:
        return 0
    if word in (rule.code, rule.name):
        return 1000
    if rule.code.startswith(word) or rule.name.startswith(f"{word.rstrip('-')}-"):
        return len(word)
    return -1


def words(texts: str | Iterable[str]) -> tuple[str, ...]:
    """The words of one text or several, with commas between."""
    given = (texts,) if isinstance(texts, str) else texts
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip())


def selection(select: Sequence[str] | None, ignore: Iterable[str], rules: Sequence[Rule]) -> Selection:
    """The selection of these words. Raises SpecError for one that names no rule."""
    ignored = tuple(ignore)
    for word in (*(select or ()), *ignored):
        if word != ALL and not any(_exactness(rule, word) > 0 for rule in rules):
            known = [name for rule in rules for name in (rule.code, rule.name)]
            help = did_you_mean(word, known) or "see `resdsl rules`"
            raise fail("unknown-rule", f"there is no rule {word!r}", help=help)
    codes = {rule.name: rule.code for rule in rules}  # a name may begin as another's does

    def exact(words: Iterable[str]) -> tuple[str, ...]:
        return tuple(codes.get(word, word) for word in words)

    return Selection(exact(select) if select is not None else (ALL,), exact(ignored))
