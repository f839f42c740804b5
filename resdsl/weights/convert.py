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
    """A tensor, of the network or (unused) of the library, and what is known of why it has no partner.

    shape, found: what the tensor must be and what its partner is, if that is what does not fit.
    """

    name: str
    why: str = ""
    shape: tuple[int, ...] = ()
    found: tuple[int, ...] = ()


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

    Numbers are not changed, and each tensor is used once. Axes of length 1 at the end may come and go: a 1x1
    convolution is a linear layer over channels. Raises SpecError for a library that is not known.
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
    used: dict[str, str] = {}
    rules = [(compiled(ours), theirs) for ours, theirs in convention.rules]
    for name, shape in shapes.items():
        rows = theirs(name, rules)
        names = [part for row in rows for part in row]
        absent = [part for part in names if part not in found]
        taken = [part for part in names if part in used]
        if not names:
            missing.append(Unmatched(name, f"{convention.name} has no such layer"))
        elif absent:
            missing.append(Unmatched(name, f"looked for {_layers(absent)}"))
        elif taken:
            missing.append(Unmatched(name, f"{taken[0]} is {used[taken[0]]} already"))
        else:
            used.update(dict.fromkeys(names, name))
            array = _joined([[found[part] for part in row] for row in rows])
            if array is None or _extents(array.shape) != _extents(shape):
                has = " + ".join(_text(found[part].shape) for part in names)
                why = f"must be {_text(shape)}; {', '.join(names)} is {has}"
                misshapen.append(Unmatched(name, why, shape, found[names[0]].shape))
            else:
                arrays[name] = array.reshape(shape)
    unused = tuple(Unmatched(name) for name in found if name not in used and not name.endswith(COUNTER))
    return Conversion(convention, arrays, tuple(missing), tuple(misshapen), unused)


def theirs(name: str, rules: Sequence[tuple[re.Pattern[str], str | Blocks]]) -> list[list[str]]:
    """The library's names for a tensor of ours, as rows of blocks, by the first rule that fits; empty if none does."""
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
    """The blocks as one array; None if they are not of one shape and type."""
    first = rows[0][0]
    if any(part.shape != first.shape or part.dtype != first.dtype for row in rows for part in row):
        return None
    if len(rows) == len(rows[0]) == 1:
        return first
    if first.ndim < (1 if len(rows[0]) == 1 else 2):
        return None
    return np.concatenate([row[0] if len(row) == 1 else np.concatenate(row, axis=1) for row in rows])


def _extents(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without axes of length 1 at its end."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _layers(names: list[str]) -> str:
    """Names of tensors of one kind by their layers: `a, b` for a.weight and b.weight."""
    part = names[0].rpartition(".")[2]
    return ", ".join(name.removesuffix(f".{part}") for name in names)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
