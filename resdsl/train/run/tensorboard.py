"""A run's log for TensorBoard: RUN/tensorboard/."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from resdsl.diagnostics import fail
from resdsl.train.run.events import Evaluated, Event, Logged, Started

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAME = "tensorboard"


class TensorBoard:
    """A listener. What a run that goes on repeats is taken out of the curves. Raises SpecError if TensorBoard is absent, and if its
    files cannot be written.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / NAME
        self.kind = _writer()
        self.writer: SummaryWriter | None = None

    def __call__(self, event: Event) -> None:
        try:
            self._tell(event)
        except OSError as error:
            raise fail("unwritable", f"{self.path} cannot be written: {error.strerror or error}") from None

    def _tell(self, event: Event) -> None:
        match event:
            case Started(iteration=iteration):
                self.writer = self.kind(str(self.path), purge_step=iteration + 1 if iteration else None)
            case Logged():
                self._write(event.iteration, "train", {"loss": event.loss, "error": event.error})
                self._write(
                    event.iteration, "run", {"rate": event.rate, "samples_per_second": event.samples_per_second}
                )
            case Evaluated():
                self._write(event.iteration, "test", {"loss": event.loss, "error": event.error})
            case _:
                pass

    def _write(self, iteration: int, group: str, values: dict[str, float]) -> None:
        assert self.writer is not None, "a run starts before it logs"
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, iteration)
        self.writer.flush()


def _writer() -> type[SummaryWriter]:
    try:
        with warnings.catch_warnings(action="ignore"):  # its parts warn of each other
            from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("tensorboard", "distutils", "six"):
            raise
        message = "--logger tensorboard needs TensorBoard, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[tensorboard]'") from None
    return SummaryWriter
