"""From which checkpoint a run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resdsl.diagnostics import Diagnostic, Severity, SpecError, fail
from resdsl.train.compute.model import state_of
from resdsl.train.run import checkpoint, log
from resdsl.train.run.checkpoint import FOLDER, State, checkpoints, require_fit
from resdsl.train.run.loop import Loop


def newest(run: Path, loop: Loop) -> tuple[State | None, list[Diagnostic]]:
    """The newest checkpoint that is one of this run, None if there is no file of one, and what a person should know: newer files that
    cannot be used are called otherwise from now on. Raises SpecError if there are files, and none can be used.
    """
    refused: list[tuple[Path, SpecError]] = []
    for path in reversed(checkpoints(run)):
        try:
            state = checkpoint.read(path)
            require_fit(state, state_of(loop.module), loop.step.momentum(), path)
        except SpecError as error:
            refused.append((path, error))
            continue
        return state, [_aside(file, error, path) for file, error in refused]
    if refused:
        notes = [error.diagnostics[0].message for _, error in refused]
        message = f"none of the checkpoints in {run / FOLDER} can be used"
        raise fail("unreadable", message, notes=notes, help="train anew in another folder with `-o`")
    return None, []


def without_checkpoint(run: Path) -> list[Diagnostic]:
    """What a person should know where a run begins anew, as it had no checkpoint yet."""
    done = max((event.iteration for event in log.history(run)), default=0)
    if not done:
        return []
    message = f"the run in {run} has no checkpoint, and begins anew; its log went to step {done:,}"
    return [_warning(Diagnostic("no-checkpoint", message))]


def _aside(path: Path, error: SpecError, taken: Path) -> Diagnostic:
    said = error.diagnostics[0]
    other = checkpoint.set_aside(path)
    message = f"{said.message}; the run goes on from {taken.name}"
    return _warning(Diagnostic(said.code, message, notes=(f"the file is called {other.name} now",)))


def _warning(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.WARNING)
