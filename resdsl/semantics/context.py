"""Where a chain stands while it is lowered, and what `norm`, `act` and `init` mean there."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.network.types import He, Init
from resdsl.semantics.build import Fit
from resdsl.semantics.scope import Place
from resdsl.semantics.signatures import SIGNATURES
from resdsl.semantics.values import ChainValue, OperatorCall, Setting, SettingUse, builtin_span
from resdsl.source import Span


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What `norm`, `act` and `init` stand for. Told apart by identity: chains may be long."""

    norm: ChainValue
    act: ChainValue
    init: Init


def _default(name: str) -> ChainValue:
    return ChainValue((OperatorCall(SIGNATURES[name], (), builtin_span(name)),))


DEFAULT_SETTINGS = Settings(_default("bn"), _default("relu"), He())


@dataclass(frozen=True, slots=True)
class Context:
    """Where a chain stands.

    place: the unit's place. fit: what unwritten channels and strides become, on shortcuts. on_shortcut: operators of
    shortcuts may stand here, units may not. inside: of a partial or concat, so away from the addition. around: the
    clause that brought in what has no place of its own. using: the settings whose chain this is a part of.
    """

    settings: Settings
    place: Place
    fit: Fit | None = None
    on_shortcut: bool = False
    inside: bool = False
    holds_units: bool = True
    around: Span | None = None
    using: frozenset[Setting] = frozenset()

    def within(self, use: SettingUse) -> Context:
        """Where the chain of a setting stands that is used here. (Often called, and `replace` takes four times as long.)"""
        using = self.using | {use.setting}
        around = self.around or use.span
        return Context(
            self.settings, self.place, self.fit, self.on_shortcut, self.inside, self.holds_units, around, using
        )
