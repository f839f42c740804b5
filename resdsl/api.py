"""The library's calls: from a spec to a tree, a network, a module, a file's bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

from resdsl import spec as specs
from resdsl.diagnostics import Diagnostic, fail
from resdsl.network.network import Network
from resdsl.passes.table import DEFAULT_LEVEL, Pass, named_passes, passes_of
from resdsl.semantics.program import read_source
from resdsl.source import Source
from resdsl.spec import Options, Parameter
from resdsl.syntax import nodes
from resdsl.syntax.parser import parse_file
from resdsl.targets.endings import ENGINES_TEXT, is_engine
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS, Request, Written
from resdsl.targets.tensorrt.options import EngineOptions, Via
from resdsl.writing import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from resdsl.network.initial import Weights

E = TypeVar("E", bound=Enum)

Spec = str | os.PathLike[str] | Source
"""A path, `std/NAME` for a packaged spec, a text (a str with a line break), or a Source."""


def parse(spec: Spec) -> nodes.File:
    """The tree of a spec's own file, imports not followed. Raises SpecError.

    >>> parse("resnet 1\\nnetwork tiny { input 10 }\\n").items[0].name.name
    'tiny'
    """
    if isinstance(spec, Source):
        return parse_file(spec)
    if isinstance(spec, str) and "\n" in spec:
        return parse_file(Source("<text>", spec))
    return parse_file(read_source(specs.spec_path(spec)))


def build(
    spec: Spec,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    options: Options | None = None,
) -> Network:
    """The network of a spec: every unit instantiated, every shape known.

    network: its name, where the spec declares several. parameters: by name; a text is an expression of the language
    (`"scale(0.5)"`), a tuple a size. Raises SpecError.

    >>> build("std/resnet110", "resnet110", {"shortcut": "scale(0.5)"}).name
    'resnet110'
    """
    return specs.build(spec, network, parameters, _options(options))


def check(spec: Spec, *, options: Options | None = None) -> list[Diagnostic]:
    """Everything that is wrong with a spec; empty if nothing is.

    >>> [d.message for d in check("resnet 1\\nnetwork tiny { input 10 head linear(3) -> relux }\\n")]
    ['there is no value, unit or operator `relux`']
    """
    return specs.check(spec, _options(options))


def lint(
    spec: Spec,
    select: str | Sequence[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    *,
    options: Options | None = None,
) -> list[Diagnostic]:
    """What the linter's rules find in a spec, as `resdsl lint` does without any configuration; empty if nothing.

    What `check` finds comes first: a mistake in syntax or names alone, as it silences the rules for the whole file;
    networks that fail otherwise (shapes) are left out, and the rules look at the others. select, ignore: rules by code
    (SC001), name (shortcut-scale) or the beginning of either, several also as one text with commas; all if `select` is
    not given. Raises SpecError for a rule that there is not.

    >>> halves = "resnet 1\\nunit u { branch conv(3x3, 3) shortcut scale(0.5) }\\n"
    >>> [(d.name, d.severity.value) for d in lint(f"{halves}network n {{ input 3x8x8 stage 9 * u }}\\n", ["SC"])]
    [('shortcut-scale', 'error')]
    """
    from resdsl.linter.run import lint_spec
    from resdsl.linter.select import selection, words
    from resdsl.linter.table import RULES

    chosen = None if select is None else words(select)
    return lint_spec(spec, selection(chosen, words(ignore or ()), RULES), _options(options))


def load(
    spec: Spec,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None = None,
    seed: int = 0,
    options: Options | None = None,
) -> nn.Module:
    """The network as a PyTorch module: float32, on the CPU, in training mode. Needs `resdsl[torch]`.

    weights: a .safetensors file, a PyTorch checkpoint, `random-calibrated`, `initial`, or arrays by name; by default the spec's
    initialisation from `seed`. Raises SpecError.
    """
    built = build(spec, network, parameters, options=options)
    try:
        from resdsl.targets.torch_module import torch_module
        from resdsl.weights import network_weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise fail("missing-library", "load() needs PyTorch", help="pip install 'resdsl[torch]'") from None
    return torch_module(built, network_weights(built, _source(weights), seed))


def convert_weights(
    file: str | os.PathLike[str],
    library: str,
    spec: Spec,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    options: Options | None = None,
) -> Weights:
    """The weights in a file of another library under the names of a spec's network: name -> float32 array.

    `load` and `compile` take the result as `weights`. file: a .safetensors file or a PyTorch checkpoint with a model's
    state_dict. library: whose names it has, pytorchcv, timm or torchvision. Raises SpecError, with all that did not
    match, unless the file holds exactly the network's tensors, and if the network is known to compute something else.
    """
    from resdsl.weights import foreign

    built = build(spec, network, parameters, options=options)
    return foreign.convert_weights(built, os.fspath(file), library)[0]


class CompileArguments(TypedDict, total=False):
    """What `compile` and `compile_file` take by name, see there."""

    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None
    seed: int
    passes: int | str | Sequence[str] | None
    precision: str
    calibration: NDArray[np.floating] | None
    form: str | None
    opset: int | None
    functions: bool
    engine: EngineOptions | None
    options: Options | None


def compile(
    spec: Spec,
    target: str = "onnx",
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None = None,
    seed: int = 0,
    passes: int | str | Sequence[str] | None = None,
    precision: str = "fp32",
    calibration: NDArray[np.floating] | None = None,
    form: str | None = None,
    opset: int | None = None,
    functions: bool = False,
    engine: EngineOptions | None = None,
    options: Options | None = None,
) -> bytes:
    """The bytes of the file that `resdsl compile` would write: torch, onnx or json. Nothing is run for comparison.

    The others are of ONNX. passes: a level from 0 (none) to 2, which is the default, or names of passes, several also as one
    text with commas. precision: fp32, fp16, bf16 or int8; int8 needs `calibration`, inputs of (n, *input), and is written
    for `form`, ort-cpu if not given, or tensorrt. opset, functions: see resdsl.targets.onnx.onnx_model. engine: of the target
    trt, which writes two files: see compile_file. Raises SpecError, also where there is a second file, as for an ONNX model
    with weights of more than 2 GiB, and where an argument says nothing of the target.

    >>> b"class Preact1001(nn.Module)" in compile("std/preact1001", "torch")
    True
    """
    request = _request(
        spec,
        target,
        network,
        parameters,
        weights=weights,
        seed=seed,
        passes=passes,
        precision=precision,
        calibration=calibration,
        form=form,
        opset=opset,
        functions=functions,
        engine=engine,
        options=options,
    )
    return TARGETS[target].to_bytes(request)


def compile_file(
    spec: Spec,
    out: str | os.PathLike[str],
    target: str = "onnx",
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    **arguments: Unpack[CompileArguments],
) -> Written:
    """Writes what `resdsl compile -o OUT` would: a file, and where there is one, the second beside it. Whole or not at all.

    The arguments are those of `compile`; Written says what was written, and holds what the command would print. Raises
    SpecError, and writes nothing then.
    """
    request = _request(spec, target, network, parameters, **arguments)
    if target == "trt" and request.engine.via is not Via.TORCH_MODULE and not is_engine(os.fspath(out)):
        message = f"{os.fspath(out)} does not end in {ENGINES_TEXT}, by which an engine is known"
        raise fail("wrong-output", message, help="name it NAME.engine")
    with writing(os.fspath(out)) as output:
        return TARGETS[target].emit(request, output)


def _request(
    spec: Spec,
    target: str,
    network: str | None,
    parameters: Mapping[str, Parameter] | None,
    *,
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None = None,
    seed: int = 0,
    passes: int | str | Sequence[str] | None = None,
    precision: str = "fp32",
    calibration: NDArray[np.floating] | None = None,
    form: str | None = None,
    opset: int | None = None,
    functions: bool = False,
    engine: EngineOptions | None = None,
    options: Options | None = None,
) -> Request:
    if target not in TARGETS:
        raise fail("unknown-target", f"there is no target {target!r}", help=f"one of {', '.join(TARGETS)}")
    built = build(spec, network, parameters, options=options)
    chosen = _choice(Precision, precision)
    given = {
        "weights": weights,
        "passes": passes,
        "precision": None if chosen is Precision.FP32 else chosen,
        "calibration": calibration,
        "form": form,
        "opset": opset,
        "functions": functions or None,
    }
    for name, value in given.items():
        if value is not None and not TARGETS[target].has_weights:
            raise fail("unused-argument", f"{name}: a {target} file holds no weights and no ONNX")
        if value is not None and name in ("calibration", "form") and chosen is not Precision.INT8:
            raise fail("unused-argument", f"{name}: it is for precision int8 alone")
    if form is not None and target == "trt":
        raise fail("unused-argument", "form: an engine is always for TensorRT")
    if engine is not None and not isinstance(engine, EngineOptions):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise fail(
            "unknown-value", f"engine cannot be {engine!r}", help="give an EngineOptions of resdsl.targets.tensorrt"
        )
    if engine is not None and target != "trt":
        raise fail("unused-argument", f"engine: it is for the target trt, and {target} is no engine")
    return Request(
        built,
        weights=_source(weights),
        seed=seed,
        opset=opset,
        functions=functions,
        passes=_passes(passes),
        precision=chosen,
        calibration=None if calibration is None else _samples(calibration, built),
        form=Form.ORT_CPU if form is None else _choice(Form, form),
        origin=specs.origin(spec, parameters, _options(options)),
        engine=EngineOptions() if engine is None else engine,
    )


def _samples(calibration: NDArray[np.floating], network: Network) -> NDArray[np.float32]:
    from resdsl.samples import given_samples

    return given_samples(calibration, network.input)


def _passes(given: int | str | Sequence[str] | None) -> tuple[Pass, ...]:
    match given:
        case None:
            return passes_of(DEFAULT_LEVEL)
        case int():
            return passes_of(given)
        case str():
            return named_passes([name.strip() for name in given.split(",")])
        case _:
            return named_passes(given)


def _choice(kind: type[E], value: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(each.value) for each in kind)
        raise fail("unknown-value", f"there is no {kind.__name__.lower()} {value!r}", help=f"one of {known}") from None


def _options(options: Options | None) -> Options:
    """A folder that is given as a text is as good as a Path."""
    if options is None or options.root is None:
        return options or Options()
    return replace(options, root=Path(options.root))


def _source(
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None,
) -> str | Mapping[str, NDArray[np.generic]] | None:
    return os.fspath(weights) if isinstance(weights, os.PathLike) else weights
