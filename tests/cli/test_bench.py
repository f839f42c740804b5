"""`resdsl bench`, and the measuring below it. No time is asserted: what is measured is how often is called, and what of it is said."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import resdsl
from resdsl.bench.machine import machine
from resdsl.bench.measure import WARM_UP_CALLS, Cell, Timing, measure
from resdsl.bench.models import Model, measure_models
from resdsl.cli import main
from tests.targets.tensorrt.stand_in import Stage, play, write_engine

SPEC = """\
resnet 1
network small(width = 4) { input 3x8x8 stem conv(3x3, width) -> bn -> relu head avgpool -> linear(5) }
network other { input 3x9x8 head avgpool -> linear(5) }
"""
FAST = ("--rounds", "3", "--seconds", "0.001")


def bench(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["bench", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "spec.resnet").write_text(SPEC)
    for name, network, parameters in (
        ("small.onnx", "small", {}),
        ("wider.onnx", "small", {"width": 6}),
        ("other.onnx", "other", {}),
    ):
        (tmp_path / name).write_bytes(resdsl.compile(SPEC, "onnx", network, parameters))
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[4, 3, 8, 8] x) => (float[4, 3, 8, 8] y) { y = Neg(x) }'
    (tmp_path / "four.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Measuring


def test_rounds_go_over_all_cells_and_back() -> None:
    order: list[str] = []
    cells = [Cell(name, 1, lambda name=name: (order.append(name), time.sleep(0.06))) for name in "abc"]
    timings = measure(cells, 3, seconds=0.001)
    assert [timing.cell.name for timing in timings] == ["a", "b", "c"]
    assert [(timing.calls, len(timing.rounds)) for timing in timings] == [(1, 3)] * 3
    warm_up = WARM_UP_CALLS
    assert "".join(order) == "a" * warm_up + "b" * warm_up + "c" * warm_up + "abc" + "cba" + "abc"


def test_short_calls_are_made_before_they_are_timed() -> None:
    count = 0

    def call() -> None:
        nonlocal count
        count += 1
        time.sleep(0.02)

    (timing,) = measure([Cell("a", 1, call)], 2, seconds=0.3)
    assert timing.calls > 1
    assert count == WARM_UP_CALLS + 2 * (1 + timing.calls)
    assert min(timing.rounds) >= 0.02


def test_rounds_by_the_time_there_is() -> None:
    told: list[tuple[int, int]] = []
    cell = Cell("a", 1, lambda: time.sleep(0.01))
    measure([cell], seconds=0.0001, told=lambda *at: told.append(at))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    (timing,) = measure([cell], seconds=0.5)
    assert len(timing.rounds) == 25
    assert measure([]) == []


def test_what_a_cell_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        measure([Cell("a", 1, lambda: 1 / 0)], 1)


def test_figures_of_a_timing() -> None:
    cell = Cell("a", 8, lambda: None)
    timing = Timing(cell, 1, (4.0, 1.0, 2.0, 3.0, 100.0))
    assert (timing.seconds, timing.quartiles, timing.samples_per_second) == (3.0, (2.0, 4.0), 8 / 3)
    assert Timing(cell, 1, (2.0,)).quartiles == (2.0, 2.0)
    drifting, same = Timing(cell, 1, (1.0, 2.0, 4.0)), Timing(Cell("b", 4, lambda: None), 1, (1.0, 2.0, 4.0))
    assert drifting.speed_beside(same) == 2
    assert Timing(cell, 1, (2.0, 4.0, 4.0)).speed_beside(drifting) == 0.5


def test_machine() -> None:
    here = machine()
    assert here.cores >= 1
    assert here.cpu
    assert here.python.startswith("3.")


# Models


def test_every_model_with_every_batch_and_number_of_threads(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    models = [Model(name, name) for name in ("small.onnx", "wider.onnx")]
    measured = measure_models(
        models, batches=(1, 3), threads=(1, 2), rounds=2, seconds=0.001, told=lambda *at: told.append(at)
    )
    keys = [(row.batch, row.threads, row.model) for row in measured.rows]
    assert keys == [(batch, threads, model) for batch in (1, 3) for threads in (1, 2) for model in (0, 1)]
    assert [row.timing.cell.samples for row in measured.rows] == [1, 1, 1, 1, 3, 3, 3, 3]
    assert [row.speed for row in measured.rows if row.model == 0] == [1.0] * 4
    assert told == [(1, 2), (2, 2)]


def test_models_are_held_against_the_first(folder: Path) -> None:
    models = [
        Model("small", "small.onnx"),
        Model("same", resdsl.compile(SPEC, "onnx", "small")),
        Model("w", "wider.onnx"),
    ]
    first, same, wider = measure_models(models, rounds=1, seconds=0.001).models
    assert (first.difference, same.difference) == (None, 0.0)
    assert wider.difference is not None
    assert wider.difference > 1e-3
    assert first.providers == ("CPUExecutionProvider",)


# The command


def test_a_spec(folder: Path) -> None:
    result = bench("spec.resnet", "--network", "small", "-p", "width=6", *FAST)
    assert result.exit_code == 0
    head, columns, row = result.stdout.splitlines()
    assert head.startswith("ONNX Runtime ")
    assert head.endswith(" cores; 3 rounds")
    assert columns.split() == ["model", "batch", "threads", "median", "ms", "quartiles", "ms", "images/s", "×", "first"]
    assert row.split()[:3] == ["small", "1", "auto"]
    assert row.split()[-1] == "1.00"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_spec_is_timed_as_it_would_be_compiled(folder: Path, precision: str) -> None:
    """The same model from a file differs by nothing, the one without passes by roundings."""
    x = np.random.default_rng(0).standard_normal((4, 3, 8, 8), np.float32)
    np.save("x.npy", x)
    given = {"weights": "random-calibrated", "precision": precision, "calibration": x if precision == "int8" else None}
    for name, passes in (("folded.onnx", 2), ("plain.onnx", 0)):
        (folder / name).write_bytes(resdsl.compile(SPEC, "onnx", "small", passes=passes, **given))
    arguments = [
        "spec.resnet",
        "--network",
        "small",
        "--weights",
        "random-calibrated",
        "--precision",
        precision,
        "--json",
    ]
    arguments += [*FAST, "--against", "folded.onnx", "--against", "plain.onnx"]
    arguments += ["--calibration", "x.npy"] if precision == "int8" else []
    for option, same in (("-O2", "folded.onnx"), ("-O0", "plain.onnx"), ("--passes=fold-batchnorm", "folded.onnx")):
        result = bench(option, *arguments)
        assert result.exit_code == 0, result.stderr
        found = {model["name"]: model["difference"] for model in json.loads(result.stdout)["models"]}
        assert [name for name, difference in found.items() if difference == 0] == [same]


def test_images_of_a_calibration(folder: Path) -> None:
    (folder / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for index, each in enumerate(pixels):
        Image.fromarray(each).save(f"images/{index}.png")
    x = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    same = resdsl.compile(SPEC, "onnx", "small", precision="int8", calibration=x)
    (folder / "same.onnx").write_bytes(same)
    arguments = ("--precision", "int8", "--calibration", "images", "--mean", "0", "--std", "1", "--json")
    result = bench("spec.resnet", "--network", "small", *arguments, "--against", "same.onnx", *FAST)
    assert json.loads(result.stdout)["models"][1]["difference"] == 0


def test_json(folder: Path) -> None:
    arguments = ("small.onnx", "--against", "wider.onnx", "--batch", "2,1", "--threads", "1", "--json")
    document = json.loads(bench(*arguments, *FAST).stdout)
    assert set(document) == {"resdsl", "onnxruntime", "machine", "provider", "models", "rows"}
    assert set(document["machine"]) == {"cpu", "cores", "platform", "python"}
    assert document["provider"] == "cpu"
    assert [model["name"] for model in document["models"]] == ["small.onnx", "wider.onnx"]
    for model in document["models"]:
        assert model["providers"] == ["CPUExecutionProvider"]
        assert list(model["nodes"]) == ["CPUExecutionProvider"]
    assert document["models"][0]["difference"] is None
    keys = [(row["batch"], row["threads"], row["model"]) for row in document["rows"]]
    assert keys == [(2, 1, 0), (2, 1, 1), (1, 1, 0), (1, 1, 1)]
    for row in document["rows"]:
        assert len(row["rounds"]) == 3
        assert row["seconds"] == np.median(row["rounds"])
        assert row["lower_quartile"] <= row["seconds"] <= row["upper_quartile"]
        assert row["images_per_second"] == row["batch"] / row["seconds"]
        assert row["calls"] >= 1
        assert row["speed"] > 0


def test_a_model_made_for_one_batch(folder: Path) -> None:
    result = bench("four.onnx", "--json", *FAST)
    assert [row["batch"] for row in json.loads(result.stdout)["rows"]] == [4]
    result = bench("four.onnx", "--batch", "1,4", *FAST)
    assert "four.onnx takes (4, 3, 8, 8), and (1, 3, 8, 8) is asked for\n = help: `--batch 4`" in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("small.onnx", "--against", "other.onnx"), 1, "other.onnx takes (batch, 3, 9, 8), and (1, 3, 8, 8) is asked for"),
        (("missing.onnx",), 1, "there is no file missing.onnx"),
        (("missing.resnet",), 1, "there is no file missing.resnet"),
        (("small.onnx", "--against", "missing.onnx"), 1, "there is no file missing.onnx"),
        (("spec.resnet",), 2, "choose one with `--network NAME`"),
        (("small.onnx", "--network", "small"), 2, "--network: small.onnx is compiled already"),
        (("small.onnx", "-p", "width=3"), 2, "-p: small.onnx is compiled already"),
        (("small.onnx", "--seed", "1"), 2, "--seed: small.onnx is compiled already"),
        (("small.onnx", "-O", "1"), 2, "-O: small.onnx is compiled already"),
        (("small.onnx", "--passes", "fold-scales"), 2, "--passes: small.onnx is compiled already"),
        (("small.onnx", "--precision", "fp16"), 2, "--precision: small.onnx is compiled already"),
        (("small.onnx", "--calibration", "x.npy"), 2, "--calibration: small.onnx is compiled already"),
        (("small.onnx", "--for", "ort-cpu"), 2, "--for: small.onnx is compiled already"),
        (("small.onnx", "--mean", "0"), 2, "--mean: small.onnx is compiled already"),
        (("spec.resnet", "--network", "small", "--calibration", "x.npy"), 2, "--calibration: this is for `--precision int8`"),
        (("spec.resnet", "--network", "small", "-O0", "--passes", "fold-scales"), 2, "one of them chooses"),
        (("spec.resnet", "--network", "small", "--passes", "fold-scale"), 2, "did you mean `fold-scales`?"),
        (("spec.resnet", "--network", "small", "--precision", "int8"), 1, "int8 needs inputs to measure the ranges"),
        (("spec.resnet", "--network", "small", "--precision", "int8", "--calibration", "no.npy"), 1, "there is no file no.npy"),
        (("small.onnx", "--against", "spec.resnet"), 2, "only MODEL may be a spec"),
        (("small.onnx", "--batch", "1,two"), 2, "'1,two' is no list of whole numbers"),
        (("small.onnx", "--batch", "0"), 2, "'0' is no list of whole numbers from 1 on"),
        (("small.onnx", "--threads", ""), 2, "is no list of whole numbers"),
        (("small.onnx", "--threads", "1,100000"), 2, "--threads: 100000 are too many for "),
        (("small.onnx", "--seconds", "nan"), 2, "Invalid value for '--seconds': this is not a number"),
        (("small.onnx", "--rounds", "0"), 2, "--rounds"),
        (("small.onnx", "--cuda-graph"), 2, "--cuda-graph: this is about engines, and there is none"),
        (("a.engine", "--provider", "cuda"), 2, "--provider: this is about ONNX models, and there are engines alone"),
        (("a.engine", "--against", "b.plan", "--threads", "1"), 2, "--threads: this is about ONNX models"),
        (("a.engine", "--network", "small"), 2, "--network: a.engine is compiled already"),
        (("missing.engine",), 1, "there is no file missing.engine"),
        (("small.onnx", "--seconds", "0"), 2, "--seconds"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_is_refused(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = bench(*arguments, *([] if "--rounds" in arguments or "--seconds" in arguments else FAST))
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")


def test_interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("resdsl.bench.models.measure", interrupt)
    result = bench("small.onnx", *FAST)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


# Engines, with a stand-in for TensorRT and the GPU


@pytest.fixture
def stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """An engine of the stand-in, beside ONNX models that take what it takes."""
    write_engine(folder / "a.engine")
    write_engine(folder / "b.plan", batch=(2, 2, 2))
    text = """
        <ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 2, 2] x) => (float[N, 5] y)
        <float[5] k = {1, 2, 3, 4, 5}, int64[3] axes = {1, 2, 3}, int64[2] row = {-1, 1}>
        { s = ReduceSum<keepdims = 0>(x, axes) c = Reshape(s, row) y = Mul(c, k) }
    """
    (folder / "sums.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return play(monkeypatch)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_an_engine_beside_an_onnx_model(stage: Stage, cuda_graph: bool) -> None:
    arguments = ("a.engine", "--against", "sums.onnx", "--batch", "1,8", "--threads", "1,2", "--json", *FAST)
    result = bench(*arguments, *(["--cuda-graph"] if cuda_graph else []))
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    engine, onnx_model = document["models"]
    assert engine["runtime"] == {"title": "TensorRT", "version": "10.16.1.11", "device": "NVIDIA H100"}
    assert (engine["providers"], engine["nodes"], engine["difference"]) == ([], None, None)
    assert onnx_model["runtime"]["title"] == "ONNX Runtime"
    assert onnx_model["difference"] < 1e-6
    assert (document["onnxruntime"], document["provider"]) == (onnx_model["runtime"]["version"], "cpu")
    keys = [(row["batch"], row["threads"], row["model"]) for row in document["rows"]]
    assert keys == [(batch, threads, model) for batch in (1, 8) for threads in (1, 2) for model in (0, 1)]
    assert len(stage.asked("deserialise")) == 1, "threads are no reason to open an engine again"
    assert len(stage.asked("record")) == (2 if cuda_graph else 0)


def test_engines_alone_with_the_batch_they_are_fastest_with(stage: Stage) -> None:
    result = bench("a.engine", *FAST)
    head, _, row = result.stdout.splitlines()
    assert head.startswith("TensorRT 10.16.1.11 on NVIDIA H100; ")
    assert row.split()[:3] == ["a.engine", "4", "–"]
    document = json.loads(bench("b.plan", "--json", *FAST).stdout)
    assert ([row["batch"] for row in document["rows"]], document["onnxruntime"], document["provider"]) == (
        [2],
        None,
        None,
    )


def test_each_runtime_is_told(stage: Stage) -> None:
    head, _, _, _, *lines = bench("sums.onnx", "--against", "a.engine", *FAST).stdout.splitlines()
    assert head.startswith("ONNX Runtime ")
    assert " on cpu and TensorRT 10.16.1.11 on NVIDIA H100; " in head
    assert lines[0].startswith("sums.onnx: ONNX Runtime ")
    assert lines[1] == "a.engine: TensorRT 10.16.1.11 on NVIDIA H100"
    assert lines[2].startswith("a.engine: its output differs by ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.engine", "--batch", "4,9"), "the input has a batch of 9, and a.engine takes batches of 1 to 8"),
        (("a.engine", "--against", "b.plan"), "b.plan takes (2, 3, 2, 2), and (4, 3, 2, 2) is asked for\n = help: `--batch 2`"),
        (("small.onnx", "--against", "a.engine"), "a.engine takes (batch, 3, 2, 2), and (1, 3, 8, 8) is asked for"),
    ],
)  # fmt: skip
def test_batches_and_inputs_that_an_engine_does_not_take(stage: Stage, arguments: tuple[str, ...], words: str) -> None:
    result = bench(*arguments, *FAST)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (1, "")
