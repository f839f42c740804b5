"""Through torch-tensorrt: from a network's PyTorch module to an engine, or to a module that stays in PyTorch.

torch-tensorrt builds for the GPU that PyTorch uses now. It shows no progress, and ends no build early.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from resdsl.diagnostics import SpecError, fail
from resdsl.network.network import Network
from resdsl.passes.run import Done, fold
from resdsl.passes.table import Pass
from resdsl.targets.onnx_compile import LIMITS
from resdsl.targets.onnx_operators import extents
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt.library import plain
from resdsl.targets.tensorrt.options import Batch, EngineOptions, Hardware
from resdsl.targets.tensorrt.torch_program import INPUT, Weights, dynamic, example, torch_program

DEVICE = "cuda"
OLDEST = (2, 12)
ALWAYS_TYPED = (2, 13)
"""The first torch-tensorrt that builds nothing but strongly typed networks. Before, that is asked for."""
MEBIBYTE = 2**20
LOGGERS = ("torch_tensorrt", "torch_tensorrt [TensorRT Conversion Context]")
"""Of torch-tensorrt, and of the TensorRT in it."""


def build_through_torch(
    network: Network, weights: Weights, passes: Sequence[Pass], precision: Precision, options: EngineOptions
) -> tuple[bytes, tuple[Done, ...]]:
    """An engine with the input `input` and the output TORCH_OUTPUT, both float32, and what the passes did. precision: not int8.

    Raises SpecError if torch-tensorrt is missing, cannot be loaded or builds nothing, and where a weight leaves the range of the precision.
    """
    found = torch_tensorrt()
    folded, numbers, steps = fold(network, weights, passes, LIMITS[precision])
    program = torch_program(folded, numbers, precision, options.batch, DEVICE)
    with _timing_cache(options.timing_cache) as cache, _building():
        engine = found.dynamo.convert_exported_program_to_serialized_trt_engine(
            program,
            arg_inputs=[found.Input(**input_settings(network, options.batch))],
            **settings(options, cache, version(found)),
        )
    return engine, steps


def compile_through_torch(
    network: Network, weights: Weights, passes: Sequence[Pass], precision: Precision, options: EngineOptions
) -> tuple[nn.Module, tuple[Done, ...]]:
    """A module that runs as one engine, from float32 on the GPU to float32 there, and what the passes did.

    Its kernels are chosen for `options.batch.best`, or 2 where that is 1 and others are taken, too. Raises SpecError as
    `build_through_torch` does.
    """
    found = torch_tensorrt()
    folded, numbers, steps = fold(network, weights, passes, LIMITS[precision])
    program = torch_program(folded, numbers, precision, options.batch, DEVICE)
    with _timing_cache(options.timing_cache) as cache, _building():
        module = found.compile(
            program,
            arg_inputs=[found.Input(**input_settings(network, options.batch))],
            **settings(options, cache, version(found)),
            **WHOLE,
        )
    return module, steps


def save_through_torch(
    network: Network,
    weights: Weights,
    passes: Sequence[Pass],
    precision: Precision,
    options: EngineOptions,
    path: str | os.PathLike[str],
) -> tuple[Done, ...]:
    """Writes what `compile_through_torch` gives as an exported program of PyTorch, for `load_through_torch`. Raises SpecError."""
    module, steps = compile_through_torch(network, weights, passes, precision, options)
    with _building():
        torch_tensorrt().save(module, os.fspath(path), **save_settings(network, options.batch, DEVICE))
    return steps


def load_through_torch(path: str | os.PathLike[str]) -> nn.Module:
    """The module of a file that `save_through_torch` wrote, on a GPU like the one it was built on. Raises SpecError.

    As any file that torch.export.load reads, it must come from somebody who is trusted.
    """
    found, name = torch_tensorrt(), os.fspath(path)
    if not Path(name).is_file():
        raise fail("unreadable", f"there is no file {name}")
    try:
        with _heard(), redirect_stderr(io.StringIO()):  # it prints a traceback, and then raises
            return found.load(name).module()
    except (RuntimeError, ValueError, AttributeError) as error:
        message = f"torch-tensorrt {found.__version__} cannot load {name}: {_said(error)}"
        help = "it runs in the version that wrote it, on a GPU like the one it was built on: compile it again here"
        raise fail("wrong-engine", message, help=help) from None


# What torch-tensorrt is called with. Its functions drop keywords that they do not know, so a test holds these against its source.

WHOLE: dict[str, Any] = {"ir": "dynamo", "require_full_compilation": True, "min_block_size": 1}
"""One engine or an error. Without the last, a network of few operators is left to PyTorch in silence."""


def settings(options: EngineOptions, timing_cache: str, version: tuple[int, ...]) -> dict[str, Any]:
    """The keywords of both functions that build, for torch-tensorrt in this version."""
    typed = {} if version >= ALWAYS_TYPED else {"use_explicit_typing": True}
    return typed | {
        "disable_tf32": not options.tf32,
        "workspace_size": 0 if options.workspace is None else options.workspace * MEBIBYTE,
        "optimization_level": options.level,
        "version_compatible": options.version_compatible,
        "hardware_compatible": options.hardware is Hardware.AMPERE_PLUS,
        "immutable_weights": not options.refit,
        "timing_cache_path": timing_cache,
    }


def input_settings(network: Network, batch: Batch) -> dict[str, Any]:
    """The keywords of torch_tensorrt.Input."""
    sample, common = extents(network.input), {"dtype": torch.float32, "name": INPUT}
    if batch.least == batch.most:
        return {"shape": (batch.best, *sample), **common}
    sizes = {"min_shape": batch.least, "opt_shape": batch.best, "max_shape": batch.most}
    return {**{name: (size, *sample) for name, size in sizes.items()}, **common}


def save_settings(network: Network, batch: Batch, device: str) -> dict[str, Any]:
    """The keywords of torch_tensorrt.save, which exports the module again."""
    return {
        "output_format": "exported_program",
        "arg_inputs": [example(network, batch, device)],
        "dynamic_shapes": dynamic(batch),
    }


def torch_tensorrt() -> ModuleType:
    """The library. Raises SpecError if it is missing, too old, cannot be loaded, or is the one for TensorRT for RTX."""
    try:
        with redirect_stdout(io.StringIO()):  # it prints where it finds no TensorRT
            found = importlib.import_module("torch_tensorrt")
    except Exception as error:  # it raises bare ones
        if isinstance(error, ModuleNotFoundError) and error.name == "torch_tensorrt":
            message = "this needs torch-tensorrt, which is not installed"
            raise fail("missing-library", message, help="pip install 'resdsl[trt]'") from None
        message = f"torch-tensorrt is installed and cannot be loaded, as where there is no NVIDIA GPU: {_said(error)}"
        help = "`nvidia-smi` shows the GPUs there are; for other causes, pip install --force-reinstall 'resdsl[trt]'"
        raise fail("missing-library", message, help=help) from None
    if version(found) < OLDEST:
        message = f"this needs torch-tensorrt 2.12 or newer, and {found.__version__} is installed"
        raise fail("missing-library", message, help="pip install -U 'resdsl[trt]'")
    if found.tensorrt_package_name == "tensorrt_rtx":
        message = "this needs torch-tensorrt, and torch-tensorrt-rtx is installed, which builds other engines"
        raise fail("missing-library", message, help="pip uninstall torch-tensorrt-rtx; pip install 'resdsl[trt]'")
    return found


def version(found: ModuleType) -> tuple[int, ...]:
    """Major and minor."""
    return tuple(int(part) for part in str(found.__version__).split(".")[:2])


@contextmanager
def _timing_cache(asked: str | None) -> Iterator[str]:
    """A file for torch-tensorrt's timings: a copy, which replaces the one asked for once the engine is built.

    It always keeps one; where none is named, in a folder that all users of a machine share.
    """
    path = Path(asked).absolute() if asked else None
    with tempfile.TemporaryDirectory(prefix=".timings.", dir=_folder(path)) as folder:
        own = Path(folder, "cache")
        if path is not None and path.exists():
            try:
                shutil.copyfile(path, own)
            except OSError as error:
                raise fail("unreadable", f"the timing cache {asked} cannot be read: {error.strerror}") from None
        yield os.fspath(own)
        if path is not None and own.exists():
            os.replace(own, path)


def _folder(path: Path | None) -> Path | None:
    """Where a file can be made that is then moved to `path`."""
    if path is not None and not os.access(path.parent, os.W_OK):
        raise fail("unwritable", f"the timing cache {path} cannot be written", help="name a file in a folder of yours")
    return path.parent if path else None


@contextmanager
def _building() -> Iterator[None]:
    """Says in a sentence why torch-tensorrt builds nothing."""
    with _heard() as errors:
        try:
            yield
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            raise _failed(errors[0] if errors else _said(error)) from None


def _failed(said: str) -> SpecError:
    if "memory" in said.lower():
        help = "a smaller `--batch`, or more of `--workspace`"
    else:
        help = "`--via onnx` builds without torch-tensorrt"
    return fail("engine-failed", f"torch-tensorrt builds no engine: {said}", help=help)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """The errors that TensorRT logs meanwhile; torch-tensorrt raises without them. Nothing is printed: it warns of its own defaults."""
    errors: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == LOGGERS[1] and record.levelno >= logging.ERROR:
                errors.append(plain(record.getMessage()))

    ear, loggers = Ear(), [logging.getLogger(name) for name in LOGGERS]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(ear)
        logger.propagate = False
    try:
        yield errors
    finally:
        for logger, propagated in zip(loggers, before, strict=True):
            logger.removeHandler(ear)
            logger.propagate = propagated


def _said(error: BaseException) -> str:
    """The first line of what was raised first: around it torch-tensorrt puts whole graphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
