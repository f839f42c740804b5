"""What stands beside an engine: what is read of it, and what it refuses before any library is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.targets.tensorrt import sidecar as module
from resdsl.targets.tensorrt.gpu import Gpu
from resdsl.targets.tensorrt.options import PORTABLE_TEXT, Builder
from resdsl.targets.tensorrt.sidecar import Tensor, digest, read_engine, read_sidecar, require_runs, to_json
from tests.targets.tensorrt.stand_in import VERSIONS, sidecar, write_engine

H100, L4 = Gpu("NVIDIA H100", "9.0"), Gpu("NVIDIA L4", "8.9")


def error(call: Callable[[], object]) -> str:
    with pytest.raises(SpecError) as raised:
        call()
    return str(raised.value)


def beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def change(path: Path, **values: Any) -> None:
    """Writes other values into the file; None takes one out."""
    document = json.loads(beside(path).read_text()) | values
    beside(path).write_text(json.dumps({name: value for name, value in document.items() if value is not ...}))


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_engine(tmp_path / "model.engine")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = {
        "version_compatible": True,
        "refit": True,
        "level": 3,
        "workspace": 256,
        "hardware": "ampere+",
        "passes": ("fold-batchnorm",),
        "parameters": {"width": "6"},
        "spec_sha256": "a" * 64,
        "outputs": (Tensor("output", "float32", (5,)),),
        "records": {"resdsl.classes": '["a", "b"]'},
    }
    path = write_engine(tmp_path / "model.plan", **made)
    assert read_engine(path) == (sidecar(**made), b"stand-in")
    assert to_json(read_sidecar(path)) == beside(path).read_text()


def test_the_schema_knows_every_field() -> None:
    schema = json.loads(Path(module.__file__).with_name("sidecar.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == {"format", *(each.name for each in fields(sidecar()))}
    assert set(schema["properties"]) - set(schema["required"]) == {"records"}


def test_an_engine_without_records_has_the_sidecar_that_it_had() -> None:
    assert "records" not in json.loads(to_json(sidecar()))


def test_there_is_no_engine(tmp_path: Path) -> None:
    assert error(lambda: read_engine(tmp_path / "no.engine")).endswith(f"there is no file {tmp_path / 'no.engine'}")
    assert error(lambda: read_engine(tmp_path)) == f"error[unreadable]: {tmp_path} is a folder, and no file"
    assert error(lambda: read_engine(Path(""))) == "error[unreadable]: . is a folder, and no file"
    long = tmp_path / ("a" * 300)
    assert error(lambda: read_engine(long)) == f"error[unreadable]: {long} cannot be read: File name too long"
    assert "cannot be read: " in error(lambda: read_engine(Path("a\0b")))


def test_nothing_stands_beside(engine: Path) -> None:
    beside(engine).unlink()
    said = error(lambda: read_engine(engine))
    assert said.startswith(f"error[no-sidecar]: there is no {beside(engine)} beside the engine\n = help: compile the ")


def test_a_name_that_is_too_long_for_what_stands_beside(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 252)
    path.write_bytes(b"stand-in")
    said = error(lambda: read_engine(path))
    assert said == f"error[unreadable]: {beside(path)} cannot be read: File name too long"


def test_a_pipe_is_not_waited_for(engine: Path, tmp_path: Path) -> None:
    beside(engine).unlink()
    os.mkfifo(beside(engine))
    os.mkfifo(tmp_path / "pipe.engine")
    for call, path in ((engine, beside(engine)), (tmp_path / "pipe.engine", tmp_path / "pipe.engine")):
        said = error(lambda call=call: read_engine(call))
        assert said == f"error[unreadable]: {path} is a pipe or device, and no file"


def test_a_link_to_an_engine(engine: Path, tmp_path: Path) -> None:
    """What stands beside it is written beside the file that it leads to. What stands beside the link is of a link before it."""
    link = tmp_path / "link.engine"
    link.symlink_to("model.engine")
    assert read_engine(link) == (sidecar(), b"stand-in")
    beside(link).write_text("{}")
    assert read_engine(link) == (sidecar(), b"stand-in")
    beside(link).unlink()
    beside(engine).unlink()
    assert error(lambda: read_engine(link)).startswith(f"error[no-sidecar]: there is no {beside(engine)} beside")


def test_both_files_are_links(engine: Path, tmp_path: Path) -> None:
    """As caches of downloads have it: the files that they lead to have no names that tell."""
    engine.rename(tmp_path / "one")
    beside(engine).rename(tmp_path / "two")
    engine.symlink_to("one")
    beside(engine).symlink_to("two")
    assert read_engine(engine) == (sidecar(), b"stand-in")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON: "),
        ('{"format": 1, "sha2', "is no JSON: "),
        ("[" * 100_000, "is no JSON: "),
        ("[]", "does not describe an engine: $: [] is not of type 'object'"),
        ('{"format": 2, "new": "things"}', "has format 2, and this resdsl reads 1\n = help: compile the engine again"),
    ],
    ids=["empty", "cut", "deep", "list", "another format"],
)
def test_what_stands_beside_is_damaged(engine: Path, text: str, words: str) -> None:
    beside(engine).write_text(text)
    said = error(lambda: read_engine(engine))
    assert said.startswith(f"error[wrong-sidecar]: {beside(engine)} ")
    assert words in said


def test_what_stands_beside_is_no_text(engine: Path) -> None:
    beside(engine).write_bytes(b"\xff\xfe")
    assert f"error[unreadable]: {beside(engine)} cannot be read: " in error(lambda: read_engine(engine))
    beside(engine).unlink()
    beside(engine).mkdir()
    assert error(lambda: read_engine(engine)) == f"error[unreadable]: {beside(engine)} is a folder, and no file"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"builder": "tvm"}, "$.builder: 'tvm' is not one of"),
        ({"version": "latest"}, "$.version: 'latest' does not match"),
        ({"batch": [1, 8]}, "$.batch: [1, 8] is too short"),
        ({"batch": [0, 1, 8]}, "$.batch[0]: 0 is less than the minimum of 1"),
        ({"batch": [8, 4, 1]}, "batch: 8, 4, 1 are not in order"),
        ({"batch": [1.0, 4.0, 8.0]}, ".0' is not of type 'integer'"),
        ({"level": 3.0}, "$.level: '3.0' is not of type"),
        ({"size": float("nan")}, "$.size: nan is not of type 'integer'"),
        ({"inputs": [{"name": "x", "dtype": "int4", "shape": [1]}]}, "$.inputs[0].dtype: 'int4'"),
        ({"sha256": ...}, "'sha256' is a required property"),
        ({"colour": "red"}, "'colour' was unexpected"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_stands_beside_holds_something_else(engine: Path, values: dict[str, Any], words: str) -> None:
    change(engine, **values)
    said = error(lambda: read_engine(engine))
    assert said.startswith(f"error[wrong-sidecar]: {beside(engine)} does not describe an engine: ")
    assert words in said


@pytest.mark.parametrize("data", [b"another!", b"stand", b"stand-in and more", b""])
def test_the_engine_was_replaced_or_cut_short(engine: Path, data: bytes) -> None:
    engine.write_bytes(data)
    said = error(lambda: read_engine(engine))
    assert said.startswith(
        f"error[wrong-sidecar]: {engine} is not the engine that model.engine.json describes: one of "
    )


def test_weights_are_told_apart() -> None:
    weights = {"b": np.arange(4, dtype=np.float32), "a": np.ones((2, 2), np.float32)}
    same = {"a": np.ones((2, 2), np.float32), "b": np.arange(8, dtype=np.float32)[:4]}
    assert digest(weights) == digest(same)
    others = [
        weights | {"a": np.ones((2, 2), np.float64)},
        weights | {"a": np.ones(4, np.float32)},
        weights | {"a": np.float32([[1, 1], [1, 0]])},
        {"c": weights["a"], "b": weights["b"]},
    ]
    assert len({digest(each) for each in (weights, *others)}) == 5


RTX = Builder.RTX


@pytest.mark.parametrize(
    ("builder", "made", "gpu", "version"),
    [
        (Builder.TENSORRT, {}, H100, ""),
        (Builder.TENSORRT, {"version_compatible": True}, H100, "10.17.0.1"),
        (Builder.TENSORRT, {"version_compatible": True}, H100, "11.0.0.0"),
        (Builder.TENSORRT, {"version": "8.6.1.6", "version_compatible": True}, H100, "10.0.0.6"),
        (Builder.TENSORRT, {"hardware": "ampere+"}, L4, ""),
        (Builder.TENSORRT, {"hardware": "ampere+"}, Gpu("NVIDIA B200", "10.0"), ""),
        (Builder.TENSORRT, {"hardware": "same"}, Gpu("NVIDIA H200", "9.0"), ""),
        (RTX, {}, L4, ""),
        (RTX, {}, Gpu("NVIDIA RTX 5090", "12.0"), ""),
        (RTX, {"compute_capabilities": ("8.6", "8.9")}, L4, ""),
        (RTX, {"platform": "windows amd64"}, L4, ""),
    ],
)
def test_where_engines_run(builder: Builder, made: dict[str, Any], gpu: Gpu, version: str) -> None:
    assert require_runs("m", sidecar(builder, **made), version or VERSIONS[builder], gpu) == ()


def test_on_another_gpu_of_the_same_kind_that_is_noted() -> None:
    (note,) = require_runs("m.engine", sidecar(), VERSIONS[Builder.TENSORRT], Gpu("NVIDIA H200", "9.0"))
    assert note.startswith("m.engine was built on NVIDIA H100, and its kernels were chosen there; this is NVIDIA H200")


@pytest.mark.parametrize(
    ("builder", "made", "gpu", "version", "words"),
    [
        (Builder.TENSORRT, {}, H100, "10.16.1.12", ("built with TensorRT 10.16.1.11, and 10.16.1.12 is installed", "'tensorrt==10.16.1.11'")),
        (Builder.TENSORRT, {}, H100, "11.0.0.0", ("and 11.0.0.0 is installed",)),
        (Builder.TENSORRT, {"version_compatible": True}, H100, "10.9.0.34", ("and 10.9.0.34 is installed", "it runs in 10.16.1.11 and later ones of TensorRT 10 and 11: `")),
        (Builder.TENSORRT, {"version_compatible": True}, H100, "12.0.0.1", ("and 12.0.0.1 is installed", "later ones of TensorRT 10 and 11: `")),
        (Builder.TENSORRT, {"version": "8.6.1.6", "version_compatible": True}, H100, "11.0.0.1", ("later ones of TensorRT 8 and 10: `",)),
        (RTX, {}, L4, "1.6.0.10", ("built with TensorRT for RTX 1.7.1.116", "'tensorrt-rtx==1.7.1.116'")),
        (Builder.TENSORRT, {}, L4, "", ("for NVIDIA H100, compute capability 9.0", "compile it on this GPU; `--hardware-compatible ampere+`")),
        (Builder.TENSORRT, {"hardware": "same"}, L4, "", ("compute capability 9.0",)),
        (Builder.TENSORRT, {"hardware": "ampere+"}, Gpu("T4", "7.5"), "", ("for GPUs of compute capability 8.0 and later, and this is T4, compute capability 7.5",)),
        (Builder.TENSORRT, {"platform": "linux aarch64"}, H100, "", ("for linux aarch64, and this is", "compile it on this platform")),
        (RTX, {}, H100, "", (f"for {PORTABLE_TEXT}, and this is NVIDIA H100", "`--compute-capability 9.0` if it is an RTX GPU, or `--builder tensorrt` on this machine")),
        (RTX, {"compute_capabilities": ("8.6", "12.0")}, L4, "", ("for GPUs of compute capability 8.6, 12.0, and this is NVIDIA L4", "`--compute-capability 8.9`")),
    ],
)  # fmt: skip
def test_where_engines_do_not_run(
    builder: Builder, made: dict[str, Any], gpu: Gpu, version: str, words: tuple[str, ...]
) -> None:
    said = error(lambda: require_runs("m", sidecar(builder, **made), version or VERSIONS[builder], gpu))
    assert said.startswith("error[wrong-engine]: m was built ")
    assert [each for each in words if each not in said] == []
