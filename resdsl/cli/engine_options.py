"""Options about TensorRT engines, and the progress of their builds."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from resdsl.cli.options import on_terminal
from resdsl.diagnostics import SpecError
from resdsl.targets.tensorrt.options import (
    DEFAULT_BATCH,
    LEVELS,
    MOST_BATCH,
    MOST_WORKSPACE,
    Batch,
    Builder,
    EngineOptions,
    Hardware,
    Via,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from resdsl.targets.tensorrt.monitor import Watcher

F = TypeVar("F", bound=Callable[..., Any])

AUTO = "auto"
_CAPABILITY = re.compile(r"(?:sm_?)?(\d{1,2})\.?(\d)", re.IGNORECASE)


class _Batch(click.ParamType[Batch]):
    """N, or MIN:OPT:MAX."""

    name = "MIN:OPT:MAX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Batch:
        if isinstance(value, Batch):
            return value
        parts = str(value).split(":")
        if len(parts) in (1, 3) and all(part.isascii() and part.isdigit() for part in parts):
            try:
                return Batch(*[int(part) for part in parts] * (3 if len(parts) == 1 else 1))
            except SpecError:
                pass
        return self.fail(
            f"{value!r} is no batch size such as 8, nor a range such as 1:8:64, up to {MOST_BATCH}", param, ctx
        )


class _Capabilities(click.ParamType[tuple[str, ...]]):
    """Compute capabilities with commas between, as 8.9, sm_89 or SM89."""

    name = "X.Y,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        found = [_CAPABILITY.fullmatch(part.strip()) for part in str(value).split(",")]
        if not all(found):
            self.fail(f"{value!r} is no list of compute capabilities such as 8.6,8.9", param, ctx)
        return tuple(dict.fromkeys(f"{match[1]}.{match[2]}" for match in found if match))


_BATCH = click.option("--batch", type=_Batch(), metavar="MIN:OPT:MAX", help=f"Engine: batch sizes that it takes, and the one it is fastest at; or one size.  [default: {DEFAULT_BATCH}]")  # fmt: skip
_OPTIONS = (
    click.option("--builder", type=click.Choice([AUTO, *(each.value for each in Builder)]), default=AUTO, show_default=True, help="Engine: what builds it. auto: TensorRT if it can build here, otherwise TensorRT for RTX, and says so."),
    click.option("--via", type=click.Choice([each.value for each in Via]), default=Via.ONNX.value, show_default=True, help="Engine: from our ONNX model, or from the PyTorch module through torch-tensorrt; torch-module: a module that stays in PyTorch, NAME.ep."),
    click.option("--compute-capability", "compute_capabilities", type=_Capabilities(), metavar="X.Y,…", help="RTX engine: the GPUs that it is for.  [default: 8.0, 8.6, 8.9 and from 12.0 on]"),
    click.option("--hardware-compatible", "hardware", type=click.Choice([each.value for each in Hardware]), help="Engine: also for other GPUs than this one: all from compute capability 8.0 on, or those of the same."),
    click.option("--version-compatible", is_flag=True, help="Engine: also for later versions of its major, and of TensorRT 10 in 11."),
    click.option("--refit", is_flag=True, help="Engine: its weights can be replaced."),
    click.option("--timing-cache", metavar="FILE", help="Engine: read and keep how fast kernels were, so that the next build is shorter."),
    click.option("--workspace", type=click.IntRange(1, MOST_WORKSPACE), metavar="MIB", help="Engine: scratch memory that a layer may take.  [default: the GPU's]"),
    click.option("--optimization-level", "level_of_builder", type=click.IntRange(LEVELS[0], LEVELS[-1]), help="Engine: how long the builder searches.  [default: TensorRT's, 3]"),
    click.option("--tf32", is_flag=True, help="Engine in fp32: products may be rounded to TF32."),
)  # fmt: skip
ENGINE_OPTIONS = frozenset(
    {
        "builder",
        "via",
        "batch",
        "compute_capabilities",
        "hardware",
        "version_compatible",
        "refit",
        "timing_cache",
        "workspace",
        "level_of_builder",
        "tf32",
    }
)


def engine_options(*, takes_batch: bool = True) -> Callable[[F], F]:
    """The options of an engine, as one argument `engine` of the command. takes_batch: --batch is one of them."""

    def add(function: F) -> F:
        @wraps(function)
        def collapsed(**given: Any) -> Any:
            mine = {name: given.pop(name) for name in ENGINE_OPTIONS if takes_batch or name != "batch"}
            return function(engine=_options(**mine), **given)

        for option in reversed((_BATCH, *_OPTIONS) if takes_batch else _OPTIONS):
            collapsed = option(collapsed)
        return cast("F", collapsed)

    return add


def _options(
    *,
    builder: str,
    via: str,
    batch: Batch | None = None,
    compute_capabilities: tuple[str, ...] | None,
    hardware: str | None,
    version_compatible: bool,
    refit: bool,
    timing_cache: str | None,
    workspace: int | None,
    level_of_builder: int | None,
    tf32: bool,
) -> EngineOptions:
    if timing_cache == "":
        raise click.UsageError("--timing-cache: the name of the file is empty")
    return EngineOptions(
        builder=None if builder == AUTO else Builder(builder),
        via=Via(via),
        batch=batch or DEFAULT_BATCH,
        compute_capabilities=compute_capabilities or (),
        hardware=Hardware(hardware) if hardware else None,
        version_compatible=version_compatible,
        refit=refit,
        timing_cache=timing_cache,
        workspace=workspace,
        level=level_of_builder,
        tf32=tf32,
    )


@contextmanager
def watching() -> Generator[Watcher | None]:
    """On a terminal, who shows the phases of a build while it lasts; nobody elsewhere."""
    if not on_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _Shown(progress)


class _Shown:
    """A bar for each phase that is not done yet. rich's Progress takes calls from any thread."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def started(self, phase: str, steps: int) -> None:
        self.tasks[phase] = self.progress.add_task(phase, total=steps)

    def stepped(self, phase: str, step: int) -> None:
        self.progress.update(self.tasks[phase], completed=step + 1)

    def finished(self, phase: str) -> None:
        self.progress.remove_task(self.tasks.pop(phase))
