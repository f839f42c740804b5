"""All rules, by code. A rule's name is that of its file, its page the file's docstring."""

from __future__ import annotations

from types import ModuleType

from resdsl.linter.rule import Mends, Rule
from resdsl.linter.rules import (
    activation_after_addition,
    shortcut_scale,
    unused_let,
    unused_suppression,
)


def _rule(code: str, module: ModuleType, mends: Mends = Mends.NOTHING) -> Rule:
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    assert module.__doc__ is not None, f"{name} has no page"
    return Rule(code, name, module.check, module.__doc__.strip(), mends)


RULES = (
    # SC: what stands on the shortcut
    _rule("SC001", shortcut_scale, Mends.UNSAFE),
    # AD: what follows the addition, and what the branch brings to it
    _rule("AD001", activation_after_addition, Mends.UNSAFE),
    # HY: what nothing uses
    _rule("HY004", unused_let, Mends.SAFE),
    # SU: suppressions. They look at what all the others have found, so they stand last.
    _rule("SU002", unused_suppression, Mends.SAFE),
)
GROUPS = {
    "SC": "what stands on the shortcut",
    "AD": "what follows the addition, and what the branch brings to it",
    "PR": "changes of shape",
    "EN": "the ends of the path",
    "BR": "how deep a branch is",
    "IN": "how it starts",
    "HY": "what nothing uses",
    "SU": "suppressions",
}
BY_NAME = {word: rule for rule in RULES for word in (rule.code, rule.name)}
