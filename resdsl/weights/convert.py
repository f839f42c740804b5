"""Weights of other libraries, under the names and in the shapes of a network's own tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.weights.conventions import LIBRARIES, Blocks, Convention

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]

COUNTER = ".num_batches_tracked"
"""PyTorch's BatchNorm counts batches; no computation reads it."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A tensor, of the network or (unused) of the library, and what is known of why it has no partner."""

    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a library's tensors.

    arrays: by the network's names, in its shapes. missing: tensors of the network that the library's do not hold.
    misshapen: those found in another shape. unused: tensors of the library's that none of the network takes.
    """

    convention: Convention
    arrays: dict[str, NDArray[np.generic]]
    missing: tuple[Unmatched, ...]
    misshapen: tuple[Unmatched, ...]
    unused: tuple[Unmatched, ...]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.misshapen or self.unused)


def convert(network: Network, found: Arrays, library: str) -> Conversion:
    """The tensors of `library` as those of the network, by the family of names under which most are found.

    Numbers are not changed. Axes of length 1 may come and go: a 1x1 convolution is a linear layer over channels. Raises
    SpecError for a library that is not known.
    """
    if library not in LIBRARIES:
        raise fail("unknown-library", f"there are no names for {library!r}", help=f"one of {', '.join(LIBRARIES)}")
    shapes = {tensor.name: tensor.shape for tensor in network_tensors(network)}
    conversions = [convert_by(convention, shapes, found) for convention in LIBRARIES[library]]
    return max(conversions, key=lambda conversion: (len(conversion.arrays), -len(conversion.unused)))


def convert_by(convention: Convention, shapes: Mapping[str, tuple[int, ...]], found: Arrays) -> Conversion:
    """The tensors `found` under the names of one convention, for tensors of these names and shapes."""
    arrays: dict[str, NDArray[np.generic]] = {}
    missing: list[Unmatched] = []
    misshapen: list[Unmatched] = []
    used: set[str] = set()
    rules = [(compiled(ours), theirs) for ours, theirs in convention.rules]
    for name, shape in shapes.items():
        rows = theirs(name, rules)
        names = [part for row in rows for part in row]
        absent = [part for part in names if part not in found]
        used.update(names)
        if not names:
            missing.append(Unmatched(name, f"{convention.name} has no such layer"))
        elif absent:
            missing.append(Unmatched(name, f"looked for {', '.join(absent)}"))
        else:
            array = _joined([[found[part] for part in row] for row in rows])
            if array is None or _extents(array.shape) != _extents(shape):
                has = " + ".join(_text(found[part].shape) for part in names)
                misshapen.append(Unmatched(name, f"must be {_text(shape)}; {', '.join(names)} is {has}"))
            else:
                arrays[name] = array.reshape(shape)
    unused = tuple(Unmatched(name) for name in found if name not in used and not name.endswith(COUNTER))
    return Conversion(convention, arrays, tuple(missing), tuple(misshapen), unused)


def theirs(name: str, rules: Sequence[tuple[re.Pattern[str], str | Blocks]]) -> list[list[str]]:
    """The library's names for a tensor of ours, as rows of blocks; empty if there is no rule for it."""
    for pattern, theirs in rules:
        match = pattern.match(name)
        if match:
            rows = theirs.rows if isinstance(theirs, Blocks) else ((theirs,),)
            rest = name[match.end() :]
            return [[_filled(template, match.groupdict()) + rest for template in row] for row in rows]
    return []


def compiled(pattern: str) -> re.Pattern[str]:
    """The left side of a rule; its numbers are groups."""
    text = re.escape(pattern).replace(r"\*", r"[A-Za-z_]\w*")
    return re.compile(re.sub(r"\\\{(\w)\\\}", r"(?P<\1>\\d+)", text) + r"(?=\.|$)")


def _filled(template: str, numbers: Mapping[str, str]) -> str:
    """The template with its numbers: {s}, {s-1}, {2*s-1}."""

    def fill(match: re.Match[str]) -> str:
        factor, letter, shift = match.groups()
        return str(int(factor or 1) * int(numbers[letter]) + int(shift or 0))

    return re.sub(r"\{(?:(\d+)\*)?(\w)([+-]\d+)?\}", fill, template)


def _joined(rows: list[list[NDArray[np.generic]]]) -> NDArray[np.generic] | None:
    if len(rows) == len(rows[0]) == 1:
        return rows[0][0]
    try:
        return np.concatenate([row[0] if len(row) == 1 else np.concatenate(row, axis=1) for row in rows])
    except ValueError:
        return None


def _extents(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(extent for extent in shape if extent != 1)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
