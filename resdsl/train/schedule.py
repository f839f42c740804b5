"""The learning rate and the length of a run, iteration by iteration."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.diagnostics import fail
from resdsl.train.recipe import Recipe, Unit


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recipe's times in iterations, for a training set of a size. per_epoch: full batches."""

    recipe: Recipe
    per_epoch: int

    @property
    def iterations(self) -> int:
        return self._iterations(self.recipe.length)

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 0."""
        if iteration < self.recipe.warmup:
            return self.recipe.warmup_rate
        passed = sum(iteration >= self._iterations(step) for step in self.recipe.steps)
        return self.recipe.rate * self.recipe.factor**passed

    def _iterations(self, length: int) -> int:
        return length if self.recipe.unit is Unit.ITERATIONS else length * self.per_epoch


def schedule(recipe: Recipe, samples: int) -> Schedule:
    """Raises SpecError if there is no full batch in the training set."""
    if samples < recipe.batch:
        message = f"the training set has {samples:,} samples, fewer than one batch of {recipe.batch:,}"
        raise fail("wrong-batch", message, help=f"`--batch {max(1, samples // 2)}`, say")
    return Schedule(recipe, samples // recipe.batch)
