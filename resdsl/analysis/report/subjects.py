"""What a command line names: a network to look at, alone or beside others. Loads nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resdsl.train.reproduce.tables import Figure

SETS = ("table1", "table2", "plain")
"""Each shortcut of Table 1 of He et al. 2016 beside identity, each placement of Table 2 beside the original, a plain network beside a
residual one. Their networks are in resdsl.analysis.report.comparison."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to look at. name: what it is called beside others. spec, network, parameters: as `resdsl.build` takes them. paper: its
    test error in the paper, of this very network.
    """

    name: str
    spec: str
    network: str | None = None
    parameters: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])
    paper: Figure | None = None


def named_subject(text: str) -> Subject:
    """`SPEC` or `SPEC:NETWORK`. A file of the whole name is a spec."""
    spec, colon, network = text.rpartition(":")
    if not colon or not spec or os.path.exists(text):
        return Subject(text, text)
    return Subject(network or text, spec, network)


def distinct(subjects: Sequence[Subject]) -> list[Subject]:
    """With names that tell them apart: where two have one name, those of their specs before it."""
    names = [subject.name for subject in subjects]
    return [
        replace(each, name=f"{each.spec}:{each.network}" if names.count(each.name) > 1 and each.network else each.name)
        for each in subjects
    ]
