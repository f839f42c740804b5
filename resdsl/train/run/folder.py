"""A run's folder: what the run is stands in run.json, and a run that is resumed must be that one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from resdsl._version import __version__
from resdsl.diagnostics import Diagnostic, Severity, SpecError, fail
from resdsl.network.document import to_document, to_json
from resdsl.recorded import normalisation_text
from resdsl.train.compute.execution import Execution
from resdsl.train.data.batches import Share
from resdsl.train.recipe import Recipe
from resdsl.train.recipe_file import recorded_recipe
from resdsl.train.run import lock
from resdsl.train.run.checkpoint import FOLDER, settle
from resdsl.train.run.difference import differences, network_differences
from resdsl.train.run.environment import Environment
from resdsl.train.setup import Setup
from resdsl.writing import write

NAME = "run.json"
NETWORK = "network.json"
NORMALISATION = "normalisation.json"
BEST, LAST = "best.safetensors", "last.safetensors"
SHOWN_LINES = 12
AS_IT_WAS = "resume it as it was, or name another folder with `-o`"
TITLES = ("name", "source")
"""Of a recipe, what it is called and where it is from: no part of how it trains."""
HALF_WRITTEN = re.compile(r"\.(run\.json|network\.json|normalisation\.json|log\.jsonl|\w+\.safetensors)\.[a-z0-9_]{8}")
"""Names of files that a process was writing when it was killed."""


def require_vacant(folder: Path) -> None:
    """Raises SpecError unless a new run may begin in the folder: it is not there, is empty, or a run was killed in it while it
    began.
    """
    if (folder / NAME).is_file():
        raise fail(
            "run-exists", f"{folder} holds a run", help="`--resume` goes on with it, or name another folder with `-o`"
        )
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set[str]()
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be used: {error.strerror or error}") from None
    others = {name for name in names if not HALF_WRITTEN.fullmatch(name)} - {lock.NAME}
    # Without a lock, no run has begun here, and these files are another's.
    if others - ({NETWORK, NORMALISATION} if lock.NAME in names else set()):
        raise fail("run-exists", f"{folder} is not empty", help="name another folder with `-o`")


def begin(folder: Path, setup: Setup, execution: Execution, share: Share, environment: Environment) -> None:
    """Makes the folder of a new run, which `require_vacant` has allowed; run.json is its last file. Raises SpecError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be made: {error.strerror or error}") from None
    sweep(folder)
    _settled(folder / NETWORK, to_json(setup.network))
    _settled(folder / NORMALISATION, f"{normalisation_text(setup.by)}\n")
    said = identity(setup, share) | {
        "execution": _computed(execution),
        "environment": _plain(asdict(environment)),
        "origin": {"sha256": setup.origin.sha256, "parameters": dict(setup.origin.parameters)},
        "resumed": [],
    }
    _write(folder, {"resdsl": __version__} | said)


def go_on(
    folder: Path, setup: Setup, execution: Execution, share: Share, environment: Environment, iteration: int
) -> list[Diagnostic]:
    """Records that the run goes on, and how it is computed from here. Returns what a person should know. Raises SpecError, with
    the difference, if the run in the folder is not of this setup.
    """
    before = about(folder)
    longer = require_same(folder, setup, share, iteration)
    now = _computed(execution)
    changed = differences(before.get("execution", {}), now)
    notices: list[Diagnostic] = []
    if longer:
        notices.append(_notice("run-extended", f"the run in {folder} is made longer", longer))
    if changed:
        message = f"the run in {folder} goes on in another way, and no more bit for bit as it began"
        notices.append(_notice("execution-changed", message, changed))
    this = {"iteration": iteration, "execution": now, "environment": _plain(asdict(environment))}
    resumed = [*before.get("resumed", []), this]
    _write(folder, before | {"recipe": identity(setup, share)["recipe"], "execution": now, "resumed": resumed})
    return notices


def require_same(folder: Path, setup: Setup, share: Share = Share(), iteration: int = 0) -> list[str]:
    """The difference in length, where that alone differs and more than `iteration` steps are to be done in all: such a run goes on
    as if it had been that long from the start. Raises SpecError, with the difference, if the run in the folder is not of this setup.
    """
    before, now = about(folder), identity(setup, share)
    other = network_differences(network_of(folder), _plain(to_document(setup.network)))
    if other:
        raise _other(folder, "another network", other)
    old, new = _with_defaults(before.get("recipe", {})), now["recipe"]
    old, new = ({key: value for key, value in each.items() if key not in TITLES} for each in (old, new))
    longer = differences({"length": old.get("length")}, {"length": new["length"]})
    rest = differences(old | {"length": None}, new | {"length": None})
    if rest:
        ways = "`--resume` without --recipe, --iterations and --epochs takes the run's own, and `--set length=N` makes it longer"
        raise _other(folder, "another recipe", differences(old, new), f"{ways}; or name another folder with `-o`")
    if longer and setup.schedule.iterations < iteration:
        message = (
            f"the run in {folder} has done {iteration:,} steps, more than the {setup.schedule.iterations:,} asked for"
        )
        raise fail("other-run", message, notes=longer, help="name another folder with `-o`")
    for name in ("network", "data", "seed", "processes"):
        if before.get(name) != now[name]:
            what = "number of processes" if name == "processes" else name
            shown = differences({name: before.get(name)}, {name: now[name]})
            raise _other(folder, "other data" if name == "data" else f"another {what}", shown)
    return longer


def identity(setup: Setup, share: Share = Share()) -> dict[str, Any]:
    """What makes two runs the same, bit for bit on one machine. Norms see each process's part of a batch by itself."""
    return {
        "network": setup.network.name,
        "recipe": _plain(asdict(setup.recipe)),
        "data": {"name": setup.data.name, "classes": list(setup.data.classes), "sha256": setup.data.fingerprint},
        "seed": setup.seed,
        "processes": share.world,
    }


def about(folder: Path) -> dict[str, Any]:
    """What run.json says. Raises SpecError if there is no run in the folder."""
    try:
        said = json.loads((folder / NAME).read_text("utf-8"))
    except FileNotFoundError:
        raise fail("no-run", f"{folder} holds no run", help="name the folder that `resdsl train -o` made") from None
    except (OSError, ValueError) as error:
        raise fail("unreadable", f"{folder / NAME} cannot be read: {error}") from None
    if not isinstance(said, dict):
        raise fail("unreadable", f"{folder / NAME} cannot be read: it holds no object")
    return said


def recipe_of(folder: Path) -> Recipe:
    """That the run in the folder is of. Raises SpecError."""
    said = about(folder).get("recipe")
    if not isinstance(said, dict):
        raise fail("unreadable", f"{folder / NAME} cannot be read: it holds no recipe")
    return recorded_recipe(str(folder / NAME), said)


def network_of(folder: Path) -> Any:
    try:
        return json.loads((folder / NETWORK).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise fail("unreadable", f"{folder / NETWORK} cannot be read: {error}") from None


def sweep(folder: Path) -> None:
    """Removes what processes that were killed had half written. This one must hold the folder."""
    for place in (folder, folder / FOLDER):
        for path in place.glob(".*"):
            if HALF_WRITTEN.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _computed(execution: Execution) -> dict[str, Any]:
    """Without what is said about it."""
    return {name: value for name, value in _plain(asdict(execution)).items() if name != "reasons"}


def _with_defaults(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe as it was recorded; fields that a later version has added are as they are by default."""
    known = {each.name: _plain(each.default) for each in fields(Recipe) if each.default is not MISSING}
    return known | recipe


def _other(folder: Path, what: str, lines: Sequence[str], help: str = AS_IT_WAS) -> SpecError:
    return fail("other-run", f"the run in {folder} is of {what}", notes=_first(lines), help=help)


def _notice(code: str, message: str, lines: Sequence[str]) -> Diagnostic:
    return replace(Diagnostic(code, message, notes=tuple(_first(lines))), severity=Severity.WARNING)


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN_LINES
    return [*lines[:SHOWN_LINES], f"… {more} more"] if more > 1 else list(lines)


def _write(folder: Path, said: dict[str, Any]) -> None:
    _settled(folder / NAME, json.dumps(said, indent=2, ensure_ascii=False) + "\n")


def _settled(path: Path, text: str) -> None:
    """Whole, and on the disk: without run.json, a loss of power would leave checkpoints of no run."""
    write(text.encode(), str(path))
    settle(path)


def _plain(value: Any) -> Any:
    """As JSON has it: enums by their values, tuples as lists."""
    match value:
        case Enum():
            return value.value
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value
