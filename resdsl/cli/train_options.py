"""Options of the commands that train, and that work with what was trained."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from resdsl.cli.options import read_parameters, read_settings
from resdsl.diagnostics import SpecError, fail
from resdsl.semantics.lower import DEFAULT_MAX_UNITS
from resdsl.spec import Options

if TYPE_CHECKING:  # PyTorch comes with them
    from resdsl.train.compute.execution import Wanted
    from resdsl.train.data.dataset import Dataset
    from resdsl.train.recipe import Recipe
    from resdsl.train.trained import Trained

F = TypeVar("F", bound=Callable[..., Any])

AUTO = "auto"
COMPILES = ("none", "units", "whole")
PRECISIONS = ("fp32", "tf32", "bf16", "fp64")
LIBRARIES = {"torch": "PyTorch", "safetensors": "safetensors"}


@dataclass(frozen=True, slots=True)
class SpecFlags:
    """Which network of a spec."""

    network: str | None
    parameters: dict[str, str]
    options: Options


@dataclass(frozen=True, slots=True)
class DataFlags:
    """What to train or evaluate on. name: None for the default of the command."""

    name: str | None
    root: Path | None

    def opened(self, default: str) -> Dataset:
        """Wrong use: no folder for what lies in one. Raises SpecError."""
        from resdsl.train.data.open import DATASETS, Stored, open_data

        name = default if self.name is None else self.name
        stored = DATASETS.get(name)
        if isinstance(stored, Stored) and self.root is None:
            raise click.UsageError(
                f"--data {name}: name the folder where it lies with --root; it comes from {stored.page}"
            )
        return open_data(name, self.root)


@dataclass(frozen=True, slots=True)
class RecipeFlags:
    """A recipe, and what is to be different. name: None for the one that goes with the data."""

    name: str | None
    settings: dict[str, str]
    iterations: int | None
    epochs: int | None

    @property
    def is_own(self) -> bool:
        """Whether they name a recipe or a length, rather than fields to change."""
        return self.name is not None or self.iterations is not None or self.epochs is not None

    def chosen(self, data: str, samples: int, begun: Recipe | None = None) -> Recipe:
        """samples: to train on. begun: of a run that goes on, which is taken unless another is named. Wrong use: settings that no recipe has. Raises SpecError for what is in a file."""
        from resdsl.train.recipe import Unit, lasting, recipe_for, require_valid
        from resdsl.train.recipe_file import open_recipe, with_settings
        from resdsl.train.schedule import schedule

        default = recipe_for(data) if begun is None or self.is_own else begun
        recipe = default if self.name is None else open_recipe(self.name)
        try:
            changed = with_settings(recipe, self.settings)
            if self.iterations is None and self.epochs is None:
                require_valid(changed)
        except SpecError as error:
            raise _wrong_use(error) from None
        per_epoch = schedule(changed, samples).per_epoch if changed.batch > 0 else 1
        if self.iterations is not None:
            changed = lasting(changed, self.iterations, Unit.ITERATIONS, per_epoch)
        if self.epochs is not None:
            changed = lasting(changed, self.epochs, Unit.EPOCHS, per_epoch)
        try:
            require_valid(changed)
        except SpecError as error:
            raise _wrong_use(error) from None
        return changed


@dataclass(frozen=True, slots=True)
class ExecutionFlags:
    """How a step is computed. None, or `auto`: as the device does it best."""

    compile: str
    graph: bool | None
    precision: str
    channels_last: bool | None
    recompute: bool
    accumulate: int
    sync_norm: bool

    def wanted(self) -> Wanted:
        from resdsl.train.compute.execution import Compile, Precision, Wanted

        return Wanted(
            compile=None if self.compile == AUTO else Compile(self.compile),
            graph=self.graph,
            precision=None if self.precision == AUTO else Precision(self.precision),
            channels_last=self.channels_last,
            recompute=self.recompute,
            sync_norm=self.sync_norm,
            accumulate=self.accumulate,
        )


_SPEC = (
    click.option("--network", metavar="NAME", help="Which network, where the spec has several."),
    click.option("-p", "--parameter", "parameters", multiple=True, metavar="KEY=VALUE", help="Set a parameter; `image` and `classes` follow from the data."),
    click.option("--import-root", type=click.Path(path_type=Path), help="Folder that imports may come from.  [default: the spec's own]"),
    click.option("--max-units", type=click.IntRange(1), default=DEFAULT_MAX_UNITS, show_default=True, help="Most units of a network."),
)  # fmt: skip
_RECIPE = (
    click.option("--recipe", "recipe_name", metavar="NAME|FILE", help="cifar, cifar-torch, imagenet, digits, or a .toml file.  [default: the one that goes with the data]"),
    click.option("--batch", metavar="N", help="Samples of one step, on all devices together."),
    click.option("--rate", metavar="NUMBER", help="The learning rate that the steps start from."),
    click.option("--iterations", type=click.IntRange(1), help="Another length, in steps of the optimiser; where the rate falls moves in proportion."),
    click.option("--epochs", type=click.IntRange(1), help="Another length, in times through the training set; likewise."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set any field of the recipe; may be repeated."),
)  # fmt: skip
_EXECUTION = (
    click.option("--compile", type=click.Choice([AUTO, *COMPILES]), default=AUTO, show_default=True, help="What torch.compile is given: each distinct unit once, or the whole network."),
    click.option("--graph/--no-graph", default=None, help="A step as one CUDA graph.  [default: on one GPU]"),
    click.option("--precision", type=click.Choice([AUTO, *PRECISIONS]), default=AUTO, show_default=True, help="Of activations and gradients; weights are float32."),
    click.option("--channels-last/--no-channels-last", default=None, help="Channels behind height and width in memory.  [default: yes]"),
    click.option("--recompute", is_flag=True, help="Compute activations of a unit again in the backward pass, to save memory."),
    click.option("--accumulate", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Compute a batch in N parts, to save memory."),
    click.option("--sync-norm", is_flag=True, help="Several GPUs: statistics of BatchNorm over all of them."),
)  # fmt: skip
_DATA = (
    click.option("--root", "data_root", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the data, where they lie in one."),
    click.option("--data", "data_name", metavar="NAME|FILE", help="digits, mnist, cifar10, cifar100, imagenet, or a .npz file."),
)  # fmt: skip


def spec_options(function: F) -> F:
    """--network, -p, --import-root and --max-units, as one argument `which`."""

    def collapsed(
        network: str | None, parameters: tuple[str, ...], import_root: Path | None, max_units: int
    ) -> dict[str, object]:
        if import_root is not None and not import_root.is_dir():
            raise click.UsageError(f"--import-root {import_root} is no folder")
        return {"which": SpecFlags(network, read_parameters(parameters), Options(import_root, max_units))}

    return _collapsing(function, _SPEC, ("network", "parameters", "import_root", "max_units"), collapsed)


def recipe_options(function: F) -> F:
    """The recipe, as one argument `recipe`."""

    def collapsed(
        recipe_name: str | None,
        batch: str | None,
        rate: str | None,
        iterations: int | None,
        epochs: int | None,
        settings: tuple[str, ...],
    ) -> dict[str, object]:
        if iterations is not None and epochs is not None:
            raise click.UsageError("--iterations and --epochs: one of them says how long")
        given = read_settings("--set", settings)
        for name, value in (("batch", batch), ("rate", rate)):
            if value is not None and name in given:
                raise click.UsageError(f"--{name} and --set {name}: one of them")
            if value is not None:
                given[name] = value
        for name in ("length", "unit"):
            if name in given and (iterations is not None or epochs is not None):
                raise click.UsageError(f"--set {name}: --iterations and --epochs say how long")
        return {"recipe": RecipeFlags(recipe_name, given, iterations, epochs)}

    names = ("recipe_name", "batch", "rate", "iterations", "epochs", "settings")
    return _collapsing(function, _RECIPE, names, collapsed)


def execution_options(function: F) -> F:
    """How a step is computed, as one argument `execution`."""

    def collapsed(**given: Any) -> dict[str, object]:
        return {"execution": ExecutionFlags(**given)}

    names = ("compile", "graph", "precision", "channels_last", "recompute", "accumulate", "sync_norm")
    return _collapsing(function, _EXECUTION, names, collapsed)


def data_options(function: F) -> F:
    """--data and --root, as one argument `data`."""

    def collapsed(data_name: str | None, data_root: Path | None) -> dict[str, object]:
        return {"data": DataFlags(data_name, data_root)}

    return _collapsing(function, _DATA, ("data_name", "data_root"), collapsed)


def workers_option(function: F) -> F:
    """--workers."""
    return click.option("--workers", type=click.IntRange(0), metavar="N", help="Processes that read images, of data in files.  [default: one a core, 8 at most]")(function)  # fmt: skip


def device_option(function: F) -> F:
    """--device."""
    return click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")(
        function
    )


def opened_for(trained: Trained | None, data: DataFlags) -> Dataset:
    """The data that are named, or those of a run. Raises SpecError."""
    if data.name is None and trained is not None and trained.data.endswith(".npz") and not os.path.isfile(trained.data):
        raise fail("no-data", f"{trained.run} was trained on {trained.data}", help="name that file with `--data`")
    return data.opened(trained.data if trained is not None else "")


def require_libraries() -> None:
    """Raises SpecError where what trains is not installed."""
    for module, title in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            message = f"training needs {title}, which is not installed"
            raise fail("missing-library", message, help="pip install 'resdsl[train]'")


def _collapsing(
    function: F,
    options: tuple[Callable[[F], F], ...],
    names: tuple[str, ...],
    collapsed: Callable[..., dict[str, object]],
) -> F:
    @wraps(function)
    def called(**given: Any) -> Any:
        return function(**collapsed(**{name: given.pop(name) for name in names}), **given)

    result = cast("F", called)
    for option in reversed(options):
        result = option(result)
    return result


def _wrong_use(error: SpecError) -> click.UsageError:
    first = error.diagnostics[0]
    return click.UsageError(f"{first.message}; {first.help}" if first.help else first.message)
