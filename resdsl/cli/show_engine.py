"""`resdsl show` of an engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.targets.tensorrt import Engine
from resdsl.targets.tensorrt.layers import Group, Layer, Summary, read_layers, summarise
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Sidecar, Tensor, gpus_of, read_engine

ELSEWHERE = ("missing-library", "old-library", "missing-gpu", "old-driver", "wrong-engine")
"""Codes of what keeps an engine from being loaded on this machine, and is no defect of the engine."""
SHOWN_NAMES = 3
"""Of the layers of a group, as examples."""


@dataclass(frozen=True, slots=True)
class _Inside:
    """device_memory: bytes that running it takes beside the weights. notes: what is to be known about running it here."""

    layers: tuple[Layer, ...]
    device_memory: int
    notes: tuple[str, ...]


def show_engine(path: str, *, as_json: bool) -> None:
    """Prints what an engine is made of, for what, and what is in it. Raises SpecError if it is none, or was damaged.

    Where it cannot be loaded, because the library or the GPU is missing or another one, says so in the place of the layers.
    """
    sidecar, data = read_engine(Path(path))
    found = _inside(path, sidecar, data)
    click.echo(
        json.dumps(_document(sidecar, found), indent=2, ensure_ascii=False) if as_json else _text(sidecar, found)
    )


def _inside(path: str, sidecar: Sidecar, data: bytes) -> _Inside | Diagnostic:
    """What is in the engine, or why that cannot be seen here."""
    try:
        engine = Engine.from_bytes(data, sidecar, name=path)
    except SpecError as error:
        (why, *_) = error.diagnostics
        if why.code not in ELSEWHERE:
            raise
        return why
    return _Inside(read_layers(engine.information()), engine.device_memory, engine.notes)


def _document(sidecar: Sidecar, found: _Inside | Diagnostic) -> dict[str, object]:
    """The sidecar, and behind it what is in the engine. Sizes in bytes."""
    made = asdict(sidecar)
    if isinstance(found, Diagnostic):
        nothing = dict.fromkeys(("device_memory", "kinds", "fusions", "convolutions", "reformats", "layers"))
        return {**made, **nothing, "notes": [], "why": found.message, "help": found.help}
    summary = summarise(found.layers)
    return {
        **made,
        "device_memory": found.device_memory,
        "kinds": dict(summary.kinds),
        "fusions": [{"operators": group.what, **_names(group)} for group in summary.fusions],
        "convolutions": [{"tactic": group.what, **_names(group)} for group in summary.convolutions],
        "reformats": summary.reformats,
        "layers": [asdict(layer) for layer in found.layers],
        "notes": list(found.notes),
        "why": None,
        "help": None,
    }


def _names(group: Group) -> dict[str, object]:
    return {"count": len(group.layers), "layers": [layer.name for layer in group.layers]}


def _text(sidecar: Sidecar, found: _Inside | Diagnostic) -> str:
    batch = ":".join(map(str, sidecar.batch))
    lines = [f"{sidecar.network}: {sidecar.precision}, {sidecar.library.title} {sidecar.version}, batch {batch}"]
    lines += [f"  {name:<8}{value}" for name, value in _made(sidecar)]
    if isinstance(found, Diagnostic):
        help = [f" = help: {found.help}"] if found.help else []
        return "\n".join([*lines, "", f"its layers are not shown: {found.message}", *help])
    lines.append(f"  {'memory':<8}{_size(found.device_memory)} on the GPU while it runs, beside the weights")
    notes = ["", *(f"note: {note}" for note in found.notes)] if found.notes else []
    return "\n".join([*lines, "", *_inner(summarise(found.layers)), *notes])


def _made(sidecar: Sidecar) -> list[tuple[str, str]]:
    """What the sidecar says, by name."""
    spec = f"spec {sidecar.spec_sha256[:12]}, " if sidecar.spec_sha256 else ""
    parameters = ", ".join(f"{key}={value}" for key, value in sidecar.parameters.items())
    rows = [
        ("for", gpus_of(sidecar)),
        ("on", sidecar.platform if sidecar.library is Builder.TENSORRT else ""),
        ("from", f"{spec}weights {sidecar.weights_sha256[:12]}, through {sidecar.via}, by resdsl {sidecar.resdsl}"),
        ("with", parameters),
        ("passes", ", ".join(sidecar.passes)),
        ("options", ", ".join(_options(sidecar))),
        ("input", ", ".join(map(_tensor, sidecar.inputs))),
        ("output", ", ".join(map(_tensor, sidecar.outputs))),
        ("file", _size(sidecar.size)),
    ]
    return [(name, value) for name, value in rows if value]


def _options(sidecar: Sidecar) -> list[str]:
    """As they are written on the command line."""
    given = {
        "--tf32": sidecar.tf32,
        f"--hardware-compatible {sidecar.hardware}": sidecar.hardware is not None,
        "--version-compatible": sidecar.version_compatible,
        "--refit": sidecar.refit,
        f"--optimization-level {sidecar.level}": sidecar.level is not None,
        f"--workspace {sidecar.workspace}": sidecar.workspace is not None,
    }
    return [option for option, is_given in given.items() if is_given]


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name} {tensor.dtype} {'x'.join(map(str, tensor.shape))}"


def _inner(summary: Summary) -> list[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary.kinds)
    reformats = f"{summary.reformats} of them only change{'s' if summary.reformats == 1 else ''} a tensor's layout"
    return [
        f"{summary.layers} layers{f': {kinds}' if kinds else ''}",
        *([reformats] if summary.reformats else []),
        *_listed("fusions", summary.fusions, lambda layer: layer.nodes[:1]),
        *_listed("convolutions by tactic", summary.convolutions, lambda layer: layer.convolutions or (layer.name,)),
    ]


def _listed(title: str, groups: tuple[Group, ...], names: Callable[[Layer], tuple[str, ...]]) -> list[str]:
    """names: what to call a layer by, of our nodes, so that it is found in the spec."""
    if not groups:
        return []
    width = max(len(str(len(group.layers))) for group in groups)
    lines = ["", f"{title}:"]
    for group in groups:
        found = [name for layer in group.layers for name in names(layer)]
        more = [f"… {len(found) - SHOWN_NAMES} more"] if len(found) > SHOWN_NAMES else []
        lines.append(f"  {len(group.layers):>{width}} × {group.what}")
        lines.append(f"  {'':>{width}}   {', '.join([*found[:SHOWN_NAMES], *more])}")
    return lines


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
