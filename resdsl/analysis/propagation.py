"""Signals through a network and gradients back, unit by unit: one forward pass, and one backward pass that computes each unit again.

Of the forward pass only the input of each part is kept, so memory grows with the stream, not with what branches hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resdsl.analysis.batch_statistics import fix_statistics, recorded_statistics
from resdsl.analysis.moments import mean_cosine, mean_factor, moments
from resdsl.analysis.parts import Cut, Part, Span, leaves, parts_of
from resdsl.analysis.quantities import Signal
from resdsl.analysis.remarks import remarks, require_values
from resdsl.analysis.rows import Row, path_lengths, signal_of
from resdsl.analysis.waves import NotFiniteError, Stack, Wave, back, energy
from resdsl.diagnostics import SpecError, fail
from resdsl.linter.words import counted
from resdsl.network.network import Network, count_units
from resdsl.targets.torch_module import torch_module
from resdsl.theory.direct_term import DirectTerm, shortcut_alone
from resdsl.theory.path_lengths import START, Energies
from resdsl.weights import INITIAL

Progress = Callable[[int, int], None]
PARTS = 2**20
"""More than a network has."""
SEEDS = 2**63
"""That PyTorch takes, from 0 on."""


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """What comes back at one place. predicted: path lengths if units are independent."""

    gradient: Wave
    direct: Wave
    stack: Stack | None
    predicted: Energies
    expected: DirectTerm

    def through(self, output: Tensor, source: Tensor) -> Waves:
        """From a tensor to one from which it was computed without branches."""
        rows = back(output, source, torch.stack([self.gradient.tensor, self.direct.tensor]))
        stack = None if self.stack is None else replace(self.stack, rows=back(output, source, self.stack.rows))
        return Waves(
            Wave.of(rows[0], self.gradient.log10),
            Wave.of(rows[1], self.direct.log10),
            stack,
            self.predicted.times(energy(rows[0])),
            self.expected,
        )

    def plus(self, branch: Waves) -> Waves:
        """The direct term and its closed form stay this one's."""
        stack = None if self.stack is None or branch.stack is None else self.stack.plus(branch.stack)
        gradient = self.gradient.plus(branch.gradient)
        return Waves(gradient, self.direct, stack, self.predicted.plus(branch.predicted), self.expected)

    def nothing(self, source: Tensor) -> Waves:
        """From a tensor to one that it does not depend on."""
        wave = Wave.of(torch.zeros_like(source))
        stack = None if self.stack is None else Stack(wave.tensor[None], 0, -math.inf, self.stack.rest)
        return Waves(wave, wave, stack, self.predicted.times(0), self.expected)

    def past_branch(self) -> Waves:
        stack = None if self.stack is None else self.stack.longer()
        return replace(self, stack=stack, predicted=self.predicted.longer())


class Walk:
    """Forward and back through the parts of a network. Inside a fork of PyTorch's random numbers: parts are computed twice, with the same ones.

    is_initial: whether closed forms, which are of initial weights, are those of these.
    """

    def __init__(self, parts: Sequence[Part], seed: int, progress: Progress | None, *, is_initial: bool = True) -> None:
        self.seed, self.progress, self.is_initial = seed, progress, is_initial
        self.rows = [Row(cut) for cut in leaves(parts)]
        self._row = {id(row.cut): row for row in self.rows}
        self._inputs: dict[int, Tensor] = {}
        self._results: dict[int, Tensor] = {}
        """What each part read, and what the branch of each opened unit gave, by the part's id."""
        self._numbers: dict[int, int] = {}
        self._places: dict[int, str] = {}
        self._done = 0

    def forward(self, parts: Sequence[Part], x: Tensor) -> Tensor:
        for part in parts:
            self._inputs[id(part)] = x
            self._numbers[id(part)] = 2 * len(self._numbers)
            self._places[id(part)] = self._place(part)
            self._draw(part)
            x = self._finite(part, part(x)) if isinstance(part, Span) else self._unit(part, x)
        return x

    def again(self, spans: Sequence[Span], x: Tensor) -> Tensor:
        """What forward gave behind these."""
        for span in spans:
            self._draw(span)
            x = span(x)
        return x

    def backward(self, parts: Sequence[Part], waves: Waves) -> Waves:
        for part in reversed(parts):
            source = self._inputs.pop(id(part)).requires_grad_()
            self._draw(part)
            try:
                if isinstance(part, Span):
                    waves = replace(waves.through(part(source), source), expected=waves.expected.past_operators())
                else:
                    waves = self._unit_back(part, source, waves)
            except NotFiniteError:
                raise _not_finite("the gradient is", self._places[id(part)], source.dtype) from None
        return waves

    def _unit(self, cut: Cut, x: Tensor) -> Tensor:
        if cut.branch is not None:
            activated = self._finite(cut, cut.lead(x))
            branch = self._results[id(cut)] = self.forward(cut.branch, activated)
            self._draw(cut, behind_branch=True)
            total = self._finite(cut, _sum(*cut.join(x, activated, branch)))
            return self._finite(cut, cut.after(total))
        row = self._row[id(cut)]
        shortcut, branch = cut.meets(x)
        output = cut.after(_sum(shortcut, branch))
        row.stream, row.branch, row.output = moments(x), moments(branch), moments(output)
        second = 0.0 if shortcut is None else moments(shortcut).second
        if not math.isfinite(row.output.second + row.branch.second + second):
            raise _not_finite(
                "numbers are", self._places[id(cut)], x.dtype, f"the variance of its input is {row.stream.variance:.3g}"
            )
        row.shortcut_mean = 0.0 if shortcut is None else mean_factor(x, shortcut)
        row.shortcut_forward = 0.0 if shortcut is None else _over(second, row.stream.second)
        if self.is_initial or shortcut is None:
            row.expected = shortcut_alone(cut.unit, row.stream.second)
        self._tell()
        return output

    def _unit_back(self, cut: Cut, x: Tensor, waves: Waves) -> Waves:
        if cut.branch is None:
            source = activated = x
            shortcut, branch = cut.meets(x)
        else:
            activated = cut.lead(x)
            source = self._results.pop(id(cut)).requires_grad_()
            self._draw(cut, behind_branch=True)
            shortcut, branch = cut.join(x, activated, source)
        total = _sum(shortcut, branch)
        meeting = replace(waves.through(cut.after(total), total), expected=waves.expected.past_addition(cut.unit))
        by_shortcut = meeting.nothing(x) if shortcut is None else meeting.through(shortcut, x)
        by_branch = meeting.through(branch, source)
        if cut.branch is not None:
            if branch is not source:  # a scale multiplies it
                by_branch = replace(by_branch, expected=by_branch.expected.past_operators())
            by_branch = self.backward(cut.branch, by_branch).through(activated, x)
        else:
            by_branch = by_branch.past_branch()
        expected = meeting.expected.past_shortcut(cut.unit, moments(x.detach()).second)
        result = replace(by_shortcut.plus(by_branch), expected=expected)
        if cut.branch is None:
            self._note(self._row[id(cut)], meeting, by_shortcut, by_branch, result)
        return result

    def _note(self, row: Row, meeting: Waves, by_shortcut: Waves, by_branch: Waves, result: Waves) -> None:
        row.shortcut_backward, row.branch_backward = (
            10 ** (2 * (waves.gradient.log10 - meeting.gradient.log10))
            if meeting.gradient.log10 > -math.inf
            else math.nan
            for waves in (by_shortcut, by_branch)
        )
        row.gradient, row.direct = result.gradient.log10, result.direct.log10
        row.direct_expected = result.expected.expected
        row.cosine = mean_cosine(result.gradient.tensor)
        self._tell()

    def _draw(self, part: Part, *, behind_branch: bool = False) -> None:
        """The random numbers of a part, the same whenever it is computed."""
        torch.manual_seed((self.seed * PARTS + self._numbers[id(part)] + behind_branch) % SEEDS)

    def _place(self, part: Part) -> str:
        """Where a part stands, in words. Forward only, before it is measured."""
        if isinstance(part, Cut):
            return f"from {part.name} on, {part.unit.label}"
        section = f"the {part.stage}" if part.stage in ("stem", "head") else part.stage
        if self._done < len(self.rows):
            return f"in {section}, before {self.rows[self._done].cut.name}"
        return f"in {section}, behind {self.rows[-1].cut.name}"

    def _finite(self, part: Part, result: Tensor) -> Tensor:
        if not math.isfinite(energy(result)):
            raise _not_finite("numbers are", self._places[id(part)], result.dtype)
        return result

    def _tell(self) -> None:
        self._done += 1
        if self.progress is not None:
            self.progress(self._done, 2 * len(self.rows))


def measure(
    network: Network,
    weights: Mapping[str, NDArray[np.float32]],
    inputs: NDArray[np.floating],
    *,
    source: str = INITIAL,
    seed: int = 0,
    double: bool = False,
    lengths: bool = True,
    progress: Progress | None = None,
) -> Signal:
    """The signals of a network with these weights on these inputs, (samples, *input), finite.

    source: where the weights come from; with `initial` ones BatchNorm takes the statistics of the inputs, otherwise those among the
    weights. double: compute in float64. lengths: measure path lengths, too, which takes the most time. progress: is told how many of
    how many units are done, each counted forward and back. Raises SpecError for a network without units, for batch norms that see one
    value of a channel, and with the unit's name where the signal or its gradient ceases to be finite.
    """
    is_initial = source == INITIAL
    if is_initial:
        require_values(network, len(inputs))
    kind = torch.float64 if double else torch.float32
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        module = torch_module(network, weights).requires_grad_(False).to(kind)
        fix_statistics(module)
        parts = parts_of(network, module)
        units = [index for index, part in enumerate(parts) if isinstance(part, Cut)]
        if not units:
            raise _no_units(network)
        body = parts[: units[-1] + 1]
        head = [part for part in parts[len(body) :] if isinstance(part, Span)]
        walk = Walk(parts, seed, progress, is_initial=is_initial)
        x = torch.from_numpy(np.ascontiguousarray(inputs)).to(kind)
        with torch.no_grad(), recorded_statistics(module) if is_initial else nullcontext():
            last = walk.forward(body, x)
            walk.forward(head, last)
        with torch.enable_grad():
            projected = _projected(walk, head, last)
            start = _direction_of(last) if projected is None else projected
            stack = Stack(start.tensor[None]) if lengths else None
            closed = DirectTerm() if is_initial else DirectTerm(None)
            waves = walk.backward(body[units[0] :], Waves(start, start, stack, START, closed))
    found = None if waves.stack is None else path_lengths(waves.stack, waves.predicted)
    return signal_of(
        walk.rows,
        found,
        remarks(network, walk.rows, found, samples=len(inputs), is_initial=is_initial, projects=projected is not None),
        network=network,
        samples=len(inputs),
        seed=seed,
        weights=source,
        precision="fp64" if double else "fp32",
    )


def _projected(walk: Walk, head: Sequence[Span], last: Tensor) -> Wave | None:
    """The gradient of the output's projection on a random direction at the end of the last unit, of norm 1.

    None where the head hands nothing back, as one that starts at zero.
    """
    last.requires_grad_()
    output = walk.again(head, last)
    torch.manual_seed(walk.seed % SEEDS)
    try:
        wave = Wave.of(back(output, last, _direction(output)[None])[0])
    except NotFiniteError:
        raise _not_finite("the gradient is", "in the head", last.dtype) from None
    return None if wave.log10 == -math.inf else Wave(wave.tensor, 0.0)


def _direction_of(last: Tensor) -> Wave:
    """One at the end of the last unit, of norm 1."""
    return Wave(Wave.of(_direction(last)).tensor, 0.0)


def _direction(samples: Tensor) -> Tensor:
    """A random direction for each of the samples, in each precision the same: PyTorch draws other numbers in float64."""
    return torch.randn(samples.shape[1:], dtype=torch.float32).to(samples.dtype).expand_as(samples)


def _sum(shortcut: Tensor | None, branch: Tensor) -> Tensor:
    return branch if shortcut is None else shortcut + branch


def _over(value: float, base: float) -> float:
    return value / base if base else math.nan


def _no_units(network: Network) -> SpecError:
    inside = sum(count_units(chain) for _, chain in network.sections())
    has = f"has no units but {counted(inside, 'unit')} inside concat" if inside else "has no units"
    message = f"{network.name} {has}, and there is nothing to say of it by unit"
    return fail("no-units", message, help="`resdsl show` has its layers")


def _not_finite(what: str, place: str, kind: torch.dtype, *notes: str) -> SpecError:
    """what: with its verb, `numbers are`. kind: what was computed in."""
    message = f"{what} not finite {place}"
    if kind is torch.float64:
        return fail(
            "not-finite", message, notes=[*notes, "squares count, too: they leave float64 from numbers of 1e154 on"]
        )
    return fail("not-finite", message, notes=notes, help="float64 has a larger range: `--precision fp64`")
