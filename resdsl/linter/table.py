"""All rules, by code. A rule's name is that of its file, its page the file's docstring."""

from __future__ import annotations

from types import ModuleType

from resdsl.linter.rule import Mends, Rule
from resdsl.linter.rules import (
    activation_after_addition,
    activation_before_addition,
    dead_start,
    first_activation_not_shared,
    gate_bias_too_high,
    growth_without_norm,
    last_activation_missing,
    learned_scale_start,
    linear_branch,
    norm_after_addition,
    norm_doubled_after_stem,
    operator_after_addition,
    operator_between_units,
    pad_shortcut,
    projection_with_norm,
    raw_projection,
    relu_only_preactivation,
    shadowed_name,
    shape_changes,
    shortcut_activated,
    shortcut_chain,
    shortcut_conv,
    shortcut_dropout,
    shortcut_gate,
    shortcut_gate_exclusive,
    shortcut_none,
    shortcut_operator,
    shortcut_partial,
    shortcut_scale,
    single_layer_branch,
    stride_position,
    unexplained_suppression,
    unknown_suppression,
    unreachable_network,
    unused_import,
    unused_let,
    unused_parameter,
    unused_suppression,
    unused_unit,
)


def _rule(code: str, module: ModuleType, mends: Mends = Mends.NOTHING) -> Rule:
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    assert module.__doc__ is not None, f"{name} has no page"
    return Rule(code, name, module.check, module.__doc__.strip(), mends)


RULES = (
    # SC: what stands on the shortcut
    _rule("SC001", shortcut_scale, Mends.UNSAFE),
    _rule("SC002", shortcut_gate_exclusive, Mends.UNSAFE),
    _rule("SC003", shortcut_gate, Mends.UNSAFE),
    _rule("SC004", shortcut_conv, Mends.UNSAFE),
    _rule("SC005", shortcut_dropout, Mends.UNSAFE),
    _rule("SC006", shortcut_none, Mends.UNSAFE),
    _rule("SC007", shortcut_chain),
    _rule("SC008", shortcut_partial),
    _rule("SC009", shortcut_activated, Mends.UNSAFE),
    _rule("SC010", shortcut_operator, Mends.UNSAFE),
    # AD: what follows the addition, and what the branch brings to it
    _rule("AD001", activation_after_addition, Mends.UNSAFE),
    _rule("AD002", norm_after_addition, Mends.UNSAFE),
    _rule("AD003", activation_before_addition, Mends.UNSAFE),
    _rule("AD004", relu_only_preactivation, Mends.UNSAFE),
    _rule("AD005", operator_after_addition),
    _rule("AD006", operator_between_units),
    # PR: changes of shape
    _rule("PR001", raw_projection, Mends.UNSAFE),
    _rule("PR002", projection_with_norm),
    _rule("PR003", shape_changes),
    _rule("PR004", pad_shortcut),
    _rule("PR005", stride_position),
    # EN: the ends of the path
    _rule("EN001", first_activation_not_shared),
    _rule("EN002", norm_doubled_after_stem, Mends.UNSAFE),
    _rule("EN003", last_activation_missing, Mends.UNSAFE),
    # BR: how deep a branch is
    _rule("BR001", single_layer_branch),
    _rule("BR002", linear_branch),
    # IN: how it starts
    _rule("IN001", gate_bias_too_high),
    _rule("IN002", growth_without_norm),
    _rule("IN003", learned_scale_start, Mends.UNSAFE),
    _rule("IN004", dead_start),
    # HY: names that nothing uses, or that take another's place
    _rule("HY001", unused_unit),
    _rule("HY002", unused_parameter),
    _rule("HY003", unused_import, Mends.SAFE),
    _rule("HY004", unused_let, Mends.SAFE),
    _rule("HY005", unreachable_network),
    _rule("HY006", shadowed_name),
    # SU: suppressions. They look at what all the others have found, so they stand last.
    _rule("SU001", unknown_suppression, Mends.SAFE),
    _rule("SU002", unused_suppression, Mends.SAFE),
    _rule("SU003", unexplained_suppression),
)
GROUPS = {
    "SC": "what stands on the shortcut",
    "AD": "what follows the addition, and what the branch brings to it",
    "PR": "changes of shape",
    "EN": "the ends of the path",
    "BR": "how deep a branch is",
    "IN": "how it starts",
    "HY": "names that nothing uses, or that take another's place",
    "SU": "suppressions",
}
BY_NAME = {word: rule for rule in RULES for word in (rule.code, rule.name)}
