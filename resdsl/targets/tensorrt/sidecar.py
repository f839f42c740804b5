"""What stands beside an engine, `model.engine.json`: what it was made of, by what, and for what. Checked before the engine runs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.spec import Origin
from resdsl.targets.tensorrt.gpu import Gpu
from resdsl.targets.tensorrt.options import PORTABLE, PORTABLE_TEXT, SIDECAR_SUFFIX, Builder, Hardware

FORMAT = 1
_NEXT_MAJOR = {8: 10, 10: 11}
"""Of TensorRT: the major version that also runs version-compatible engines of one. Source: TensorRT, "Support Matrix"."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of an engine. dtype: numpy's name. shape: without the batch."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """sha256, size: of the engine's file. builder: the value of a Builder. version: of its library. via, precision, hardware:
    values of Via, Precision, Hardware. batch: least, best, most. weights_sha256: of names and numbers, see `digest`.
    compute_capabilities: of an RTX engine, those named; of another, that of the GPU it was built on. gpu: that one's name.
    platform: such as linux x86_64. records: see Request, those of an engine without any are not written. level: None for the builder's own. workspace: MiB, None for all.
    """

    sha256: str
    size: int
    resdsl: str
    builder: str
    version: str
    via: str
    network: str
    spec_sha256: str | None
    parameters: Mapping[str, str]
    weights_sha256: str
    precision: str
    tf32: bool
    passes: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batch: tuple[int, int, int]
    compute_capabilities: tuple[str, ...]
    gpu: str | None
    platform: str
    hardware: str | None = None
    version_compatible: bool = False
    refit: bool = False
    level: int | None = None
    workspace: int | None = None
    records: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def library(self) -> Builder:
        return Builder(self.builder)


def to_json(sidecar: Sidecar) -> str:
    """The text of the file; the same text for the same sidecar."""
    document: dict[str, Any] = {"format": FORMAT, **asdict(sidecar)}
    if not sidecar.records:
        del document["records"]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def digest(weights: Mapping[str, NDArray[np.generic]]) -> str:
    """The sha256 of weights: of each, in the order of the names, a line with name, type and shape, and its bytes."""
    found = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        found.update(f"{name} {array.dtype.name} {'x'.join(map(str, array.shape))}\n".encode())
        found.update(array.data if array.size else b"")
    return found.hexdigest()


def this_platform() -> str:
    """The platform as a sidecar names it."""
    return f"{platform.system()} {platform.machine()}".lower()


def read_sidecar(engine: Path) -> Sidecar:
    """What stands beside an engine. Raises SpecError if nothing does, or nothing that resdsl wrote."""
    path = _beside(engine)
    again = "compile the engine again, or bring the file along: an engine is checked against it before it runs"
    try:
        text = _read(path).decode("utf-8")
    except FileNotFoundError:
        raise fail("no-sidecar", f"there is no {path} beside the engine", help=again) from None
    except UnicodeDecodeError as error:
        raise fail("unreadable", f"{path} cannot be read: {error}") from None
    return _parsed(text, path, again)


def _beside(engine: Path) -> Path:
    """Beside what a link leads to, where it is written; or beside the link, where both files are links."""
    path = engine.with_name(engine.name + SIDECAR_SUFFIX)
    if not engine.is_symlink():
        return path
    written = Path(os.path.realpath(engine) + SIDECAR_SUFFIX)
    return written if os.path.exists(written) or not os.path.exists(path) else path


def _read(path: Path) -> bytes:
    """Raises FileNotFoundError, and SpecError for what is there and cannot be read, or would never end, as a pipe."""
    try:
        mode = path.stat().st_mode
        if not S_ISREG(mode):
            raise fail("unreadable", f"{path} is a {'folder' if S_ISDIR(mode) else 'pipe or device'}, and no file")
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("unreadable", f"{path} cannot be read: {reason}") from None


def _parsed(text: str, path: Path, again: str) -> Sidecar:
    import jsonschema

    schema = json.loads(resources.files(__package__).joinpath("sidecar.schema.json").read_text(encoding="utf-8"))
    try:
        document = json.loads(text, parse_float=str)  # 8.0 is an integer to JSON Schema, and none to what reads this
    except (ValueError, RecursionError) as error:
        raise fail("wrong-sidecar", f"{path} is no JSON: {error}", help=again) from None
    if isinstance(document, dict) and document.get("format") not in (None, FORMAT):
        message = f"{path} has format {document['format']}, and this resdsl reads {FORMAT}"
        raise fail("wrong-sidecar", message, help="compile the engine again with this version of resdsl")
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(document))
    wrong = f"{problem.json_path}: {problem.message}" if problem is not None else ""
    if not wrong and document["batch"] != sorted(document["batch"]):
        wrong = f"$.batch: {', '.join(map(str, document['batch']))} are not in order"
    if wrong:
        raise fail("wrong-sidecar", f"{path} does not describe an engine: {wrong}", help=again)
    return _sidecar(document)


def _sidecar(document: dict[str, Any]) -> Sidecar:
    fields = {name: value for name, value in document.items() if name != "format"}
    for name in ("passes", "batch", "compute_capabilities"):
        fields[name] = tuple(fields[name])
    for name in ("inputs", "outputs"):
        fields[name] = tuple(Tensor(each["name"], each["dtype"], tuple(each["shape"])) for each in fields[name])
    return Sidecar(**fields)


def read_engine(path: Path) -> tuple[Sidecar, bytes]:
    """An engine, and what stands beside it. Raises SpecError unless both can be read and belong together."""
    try:
        data = _read(path)
    except FileNotFoundError:
        raise fail("unreadable", f"there is no file {path}") from None
    sidecar = read_sidecar(path)
    require_file(path, data, sidecar)
    return sidecar, data


def require_file(engine: Path, data: bytes, sidecar: Sidecar) -> None:
    """Raises SpecError unless the engine is the one that the sidecar is about."""
    if hashlib.sha256(data).hexdigest() != sidecar.sha256:
        message = f"{engine} is not the engine that {engine.name}{SIDECAR_SUFFIX} describes: one of them was replaced or cut short"
        raise fail("wrong-sidecar", message, help="compile the engine again; both files are written together")


def require_origin(name: str, sidecar: Sidecar, wanted: Origin, network: str | None) -> None:
    """Raises SpecError unless the engine was built from this spec with these parameters. network: which of the spec's, if named.

    name: what to call the engine.
    """
    help = "`resdsl compile --target trt` builds the engine of this spec"
    if sidecar.spec_sha256 != wanted.sha256:
        message = f"{name} was built from another spec, or another state of it"
    elif network not in (None, sidecar.network):
        message = f"{name} was built from the network {sidecar.network}, and {network} is asked for"
    elif sidecar.parameters != wanted.parameters:
        message = f"{name} was built with {_given(sidecar.parameters)}, and {_given(wanted.parameters)} is asked for"
        help = f"parameters are compared as they are written: write the same ones, or {help}"
    else:
        return
    raise fail("wrong-engine", message, help=help)


def _given(parameters: Mapping[str, str]) -> str:
    return ", ".join(f"-p {name}={value}" for name, value in parameters.items()) or "no parameters"


def gpus_of(sidecar: Sidecar) -> str:
    """Which GPUs the engine is for, in words."""
    capabilities = ", ".join(sidecar.compute_capabilities)
    if sidecar.hardware == Hardware.AMPERE_PLUS.value:
        return "GPUs of compute capability 8.0 and later"
    if sidecar.library is Builder.RTX and not capabilities:
        return PORTABLE_TEXT
    return f"{sidecar.gpu or 'GPUs of'}{',' if sidecar.gpu else ''} compute capability {capabilities}"


def require_runs(name: str, sidecar: Sidecar, version: str, gpu: Gpu) -> tuple[str, ...]:
    """What is to be known about running the engine here: with its library in this version, on this GPU.

    Raises SpecError if it cannot run. name: what to call it.
    """
    title, here = sidecar.library.title, this_platform()
    if sidecar.library is Builder.TENSORRT and sidecar.platform != here:
        message = f"{name} was built for {sidecar.platform}, and this is {here}"
        raise fail("wrong-engine", message, help="compile it on this platform")
    if not _runs_in(sidecar, version):
        message = f"{name} was built with {title} {sidecar.version}, and {version} is installed"
        later = _later(sidecar) if sidecar.version_compatible else ""
        pinned = f"pip install '{sidecar.library.module.replace('_', '-')}=={sidecar.version}'"
        raise fail(
            "wrong-engine", message, help=f"it runs in {sidecar.version}{later}: `{pinned}`, or compile it again"
        )
    if not _runs_on(sidecar, gpu.compute_capability):
        message = f"{name} was built for {gpus_of(sidecar)}, and this is {gpu}"
        raise fail("wrong-engine", message, help=_for_this(sidecar, gpu))
    if sidecar.gpu not in (None, gpu.name) and sidecar.hardware is None:
        return (f"{name} was built on {sidecar.gpu}, and its kernels were chosen there; this is {gpu}",)
    return ()


def _runs_in(sidecar: Sidecar, version: str) -> bool:
    """Source: TensorRT, "Engine Compatibility": all four numbers must be equal, or the engine version-compatible and older."""
    if version == sidecar.version:
        return True
    built, here = _numbers(sidecar.version), _numbers(version)
    return sidecar.version_compatible and here >= built and here[0] in (built[0], _NEXT_MAJOR.get(built[0]))


def _later(sidecar: Sidecar) -> str:
    major = _numbers(sidecar.version)[0]
    following = f" and {_NEXT_MAJOR[major]}" if major in _NEXT_MAJOR else ""
    return f" and later ones of {sidecar.library.title} {major}{following}"


def _runs_on(sidecar: Sidecar, capability: str) -> bool:
    if sidecar.hardware == Hardware.AMPERE_PLUS.value:
        return _numbers(capability) >= (8, 0)
    if sidecar.library is Builder.RTX and not sidecar.compute_capabilities:
        return capability in PORTABLE or _numbers(capability) >= (12, 0)
    return capability in sidecar.compute_capabilities


def _for_this(sidecar: Sidecar, gpu: Gpu) -> str:
    if sidecar.library is Builder.RTX:
        return f"`--compute-capability {gpu.compute_capability}` if it is an RTX GPU, or `--builder tensorrt` on this machine"
    return "compile it on this GPU; `--hardware-compatible ampere+` makes engines for all from 8.0 on"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
