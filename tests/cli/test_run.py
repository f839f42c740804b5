"""`resdsl run`: what it reads, prints and writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx.parser
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.numpy import load_file, save_file

import resdsl
from resdsl.cli import main
from resdsl.network.evaluate import evaluate
from resdsl.spec import build
from resdsl.targets.tensorrt.options import Builder
from resdsl.weights import network_weights
from tests.targets.tensorrt.stand_in import SAMPLE, play, write_engine
from tests.targets.tensorrt.stand_in import expected as summed

SPEC = """\
resnet 1
network small { input 3x8x6 stem conv(3x3, 4) -> bn -> relu head avgpool -> linear(7) }
"""
TWO_OUTPUTS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 3] x) => (float[N, 3] y, float[N, 3] z) { y = Identity(x) z = Neg(x) }
"""


UNIT = ("--mean", "0", "--std", "1")
"""Images are values from 0 to 1."""


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["run", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.onnx").write_bytes(resdsl.compile(SPEC, "onnx", weights="random-calibrated"))
    (tmp_path / "two.onnx").write_bytes(onnx.parser.parse_model(TWO_OUTPUTS).SerializeToString())
    np.save(tmp_path / "x.npy", samples())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 3, 8, 6), np.float32)


def expected(x: np.ndarray) -> np.ndarray:
    network = build(SPEC)
    return evaluate(network, network_weights(network, "random-calibrated"), x.astype(np.float64))


def outputs(folder: Path, *arguments: str) -> np.ndarray:
    """What `run small.onnx` writes."""
    result = run("small.onnx", *arguments, "-o", "y.npy")
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    return np.load(folder / "y.npy")


def test_prints_the_classes_of_greatest_output(folder: Path) -> None:
    result = run("small.onnx", "x.npy", "--top", "3")
    assert result.exit_code == 0
    lines = []
    for number, scores in enumerate(expected(samples())):
        classes = np.argsort(-scores)[:3]
        lines.append(f"sample {number}: " + ", ".join(f"{index} ({scores[index]:.4g})" for index in classes))
    assert result.stdout.splitlines() == lines


def test_json(folder: Path) -> None:
    document = json.loads(run("small.onnx", "x.npy", "--top", "100", "--json").stdout)
    version = document.pop("onnxruntime")
    assert version.count(".") == 2
    top = document.pop("top")
    assert document == {
        "resdsl": resdsl.__version__,
        "runtime": {"title": "ONNX Runtime", "version": version, "device": "cpu"},
        "model": "small.onnx",
        "input": "x.npy",
        "provider": "cpu",
        "providers": ["CPUExecutionProvider"],
        "output": "output",
        "shape": [2, 7],
    }
    for scores, classes in zip(expected(samples()), top, strict=True):
        assert [each["class"] for each in classes] == list(np.argsort(-scores))
        assert [each["value"] for each in classes] == pytest.approx(-np.sort(-scores), rel=1e-4, abs=1e-5)


def test_what_is_not_finite_comes_last_and_is_null(folder: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3] x) => (float[N, 3] y) { y = Log(x) }'
    (folder / "log.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    np.save("x.npy", np.float32([-1, 0, 1]))
    assert run("log.onnx", "x.npy").stdout == "sample 0: 2 (0), 0 (nan), 1 (-inf)\n"
    (classes,) = json.loads(run("log.onnx", "x.npy", "--json").stdout)["top"]
    assert [each["value"] for each in classes] == [0, None, None]
    assert run("log.onnx", "x.npy", "-o", "y.json").exit_code == 0
    assert json.loads((folder / "y.json").read_text())["y"] == {
        "shape": [1, 3],
        "dtype": "float32",
        "values": [[None, None, 0.0]],
    }


def test_random_input(folder: Path) -> None:
    first, again, other = (run("small.onnx", name).stdout for name in ("random", "random:0", "random:1"))
    assert first == again != other
    assert first.startswith("sample 0: ")
    assert len(first.splitlines()) == 1


def test_files_of_arrays(folder: Path) -> None:
    x = samples()
    y = outputs(folder, "x.npy")
    np.testing.assert_allclose(y, expected(x), rtol=1e-4, atol=1e-5)
    np.savez(folder / "one.npz", anything=x)
    np.savez(folder / "named.npz", labels=np.zeros(2), input=x)
    save_file({"x": x.astype(np.float64)}, folder / "x.safetensors")
    for name in ("one.npz", "named.npz", "x.safetensors"):
        np.testing.assert_array_equal(outputs(folder, name), y)
    np.save(folder / "sample.npy", x[1])
    np.testing.assert_allclose(outputs(folder, "sample.npy"), y[1:], rtol=1e-5, atol=1e-6)


def test_outputs_in_each_format(folder: Path) -> None:
    x = np.float32([[1, 2, 3], [4, 5, 6]])
    np.save(folder / "x.npy", x)
    for name in ("y.npz", "y.safetensors", "y.json"):
        result = run("two.onnx", "x.npy", "-o", name)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"{name}: y 2x3, z 2x3\n"
    with np.load(folder / "y.npz") as arrays:
        np.testing.assert_array_equal(arrays["z"], -x)
    np.testing.assert_array_equal(load_file(folder / "y.safetensors")["z"], -x)
    assert json.loads((folder / "y.json").read_text())["z"]["values"] == (-x).tolist()


def test_images(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    Image.fromarray(pixels).save("right.png")
    plain = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    np.testing.assert_allclose(outputs(folder, "right.png", *UNIT), expected(plain[None]), rtol=1e-4, atol=1e-5)
    normal = (plain - np.float32([0.5, 0.4, 0.3])[:, None, None]) / np.float32(0.25)
    imagenet = (plain - np.float32([0.485, 0.456, 0.406])[:, None, None]) / np.float32([0.229, 0.224, 0.225])[
        :, None, None
    ]
    np.testing.assert_allclose(outputs(folder, "right.png"), expected(imagenet[None]), rtol=1e-4, atol=1e-5)
    found = outputs(folder, "right.png", "--mean", "0.5,0.4,0.3", "--std", "0.25")
    np.testing.assert_allclose(found, expected(normal[None]), rtol=1e-4, atol=1e-5)


def test_images_of_other_sizes_and_modes(folder: Path) -> None:
    colour = np.uint8([200, 100, 50])
    flat = np.broadcast_to(colour, (31, 53, 3))
    Image.fromarray(np.ascontiguousarray(flat)).save("wide.png")
    plain = np.broadcast_to(colour[:, None, None] / np.float32(255), (3, 8, 6))
    np.testing.assert_allclose(outputs(folder, "wide.png", *UNIT), expected(plain[None]), rtol=1e-4, atol=1e-5)
    # The middle is taken: 24x6 pixels, of which rows 8 to 16 are white.
    rows = np.zeros((24, 6, 3), np.uint8)
    rows[8:16] = 255
    Image.fromarray(rows).save("tall.png")
    np.testing.assert_allclose(
        outputs(folder, "tall.png", *UNIT), expected(np.ones((1, 3, 8, 6))), rtol=1e-4, atol=1e-5
    )
    Image.new("L", (6, 8), 255).save("grey.png")
    np.testing.assert_allclose(
        outputs(folder, "grey.png", *UNIT), expected(np.ones((1, 3, 8, 6))), rtol=1e-4, atol=1e-5
    )


def test_a_model_of_one_channel_takes_grey_images(folder: Path) -> None:
    text = (
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 1, 2, 2] x) => (float[N, 1, 2, 2] y) { y = Identity(x) }'
    )
    (folder / "grey.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    Image.new("RGB", (4, 4), (255, 255, 255)).save("white.png")
    assert run("grey.onnx", "white.png", "-o", "y.npy", "--mean", "0.1,0.2,0.6").exit_code == 0
    np.testing.assert_allclose(np.load("y.npy"), np.full((1, 1, 2, 2), (1 - 0.3) / 0.226), rtol=1e-6)


def damaged(folder: Path) -> None:
    """Files that are not what their names say, or hold what is not taken."""
    (folder / "empty.npy").write_bytes(b"")
    (folder / "cut.npy").write_bytes((folder / "x.npy").read_bytes()[:-10])
    (folder / "text.npz").write_text("no zip")
    (folder / "broken.safetensors").write_bytes(b"\0" * 10)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    (folder / "notes.txt").write_text("hello")
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 2, 2, 2] x) => (float[N, 2, 2, 2] y) { y = Neg(x) }'
    (folder / "two_channels.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(folder / "wrong.npy", np.zeros((3, 9, 6), np.float32))
    np.save(folder / "bytes.npy", np.zeros((3, 8, 6), np.uint8))
    np.savez(folder / "several.npz", a=np.zeros(2), b=np.zeros(2))
    with zipfile.ZipFile(folder / "none.npz", "w"):
        pass
    Image.new("RGB", (6, 8)).save(folder / "x.png")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small.onnx", "missing.npy"), "there is no file missing.npy"),
        (("small.onnx", "."), ". is a folder"),
        (("small.onnx", "empty.npy"), "empty.npy cannot be read as an array"),
        (("small.onnx", "cut.npy"), "cut.npy cannot be read as an array"),
        (("small.onnx", "text.npz"), "text.npz cannot be read as an array"),
        (("small.onnx", "objects.npy"), "objects.npy cannot be read as an array: it holds Python objects"),
        (("small.onnx", "broken.safetensors"), "error[unreadable]: broken.safetensors cannot be read as safetensors"),
        (("small.onnx", "broken.png"), "broken.png cannot be read as an image"),
        (("small.onnx", "notes.txt"), "notes.txt is no file of samples"),
        (("small.onnx", "wrong.npy"), "wrong.npy holds (3, 9, 6), and small.onnx takes (batch, 3, 8, 6) as input"),
        (("small.onnx", "bytes.npy"), "bytes.npy holds uint8, and small.onnx takes float32"),
        (
            ("small.onnx", "several.npz"),
            "several.npz holds 2 arrays, and none is called input\n = a\n = b\n = help: give one array, or call one input",
        ),
        (("small.onnx", "none.npz"), "none.npz holds no array"),
        (("two_channels.onnx", "x.png", "-o", "y.npy"), "x.png is an image, and no image becomes 2 x 2 x 2"),
        (("two.onnx", "x.png", "-o", "y.npz"), "x.png is an image, and two.onnx takes x (N, 3)"),
        (("missing.onnx", "x.npy"), "there is no file missing.onnx"),
        (("x.npy", "x.npy"), "x.npy cannot be opened as an ONNX model"),
        (("two.onnx", "random"), "two.onnx gives y (N, 3), z (N, 3): no one number for each class"),
        (("two.onnx", "random", "-o", "y.npy"), "two.onnx has 2 outputs (y, z), and a .npy file holds one"),
        (("small.onnx", "x.npy", "-o", "no/such/y.npy"), "there is no folder"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_and_nothing_is_written(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    damaged(folder)
    before = sorted(folder.iterdir())
    result = run(*arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (1, "")
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("small.onnx", "x.npy", "-o", "y.txt"), "-o y.txt: name a file that ends in .npy, .npz, .safetensors, .json"),
        (("small.onnx", "x.npy", "-o", "-"), "-o -: name a file"),
        (("small.onnx", "x.npy", "-o", "y.npy", "--top", "2"), "--top: this is about what is printed"),
        (("small.onnx", "x.npy", "-o", "y.npy", "--json"), "--json: this is about what is printed"),
        (("small.onnx", "x.npy", "--mean", "0.5"), "--mean is for images, and x.npy holds none"),
        (("small.onnx", "random", "--std", "1"), "--std is for images, and random holds none"),
        (("small.onnx", "x.png", "--mean", "1,2"), "--mean: 1,2 does not normalise images"),
        (("small.onnx", "x.png", "--mean", "nan"), "--mean: nan does not normalise images"),
        (("small.onnx", "x.png", "--std", "0"), "--std: 0 is no standard deviation"),
        (("small.onnx", "x.png", "--mean", "a,b"), "'a,b' is no list of numbers"),
        (("small.onnx", "x.npy", "--provider", "tpu"), "tpu"),
        (("small.onnx", "x.npy", "--threads", "0"), "--threads"),
        (("small.onnx", "x.npy", "--threads", "100000"), "--threads: 100000 are too many for "),
        (("small.onnx",), "Missing argument"),
        (
            ("small.engine", "x.npy", "--provider", "cuda"),
            "--provider: this is about ONNX models, and small.engine is an engine",
        ),
        (("small.plan", "x.npy", "--threads", "2"), "--threads: this is about ONNX models"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(*arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_provider_that_there_is_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    result = run("small.onnx", "x.npy", "--provider", "cuda")
    assert "error[missing-provider]: this build of ONNX Runtime has no CUDAExecutionProvider" in result.stderr
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("command", ["run", "bench"])
def test_help_loads_no_heavy_library(command: str) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from resdsl.cli import main; "
        f"assert CliRunner().invoke(main, [{command!r}, '--help']).exit_code == 0; "
        "print([name for name in ('onnxruntime', 'onnx', 'torch', 'PIL') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (6, 8)).save(folder / "x.png")
    real = __import__

    def imported(name: str, *arguments: object) -> object:
        if name == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")
        return real(name, *arguments)

    for name in [name for name in sys.modules if name.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("builtins.__import__", imported)
    result = run("small.onnx", "x.png")
    assert (result.exit_code, "pip install 'resdsl[images]'" in result.stderr) == (1, True)


def test_the_input_is_not_replaced(folder: Path) -> None:
    before = (folder / "x.npy").read_bytes()
    result = run("small.onnx", "x.npy", "-o", "x.npy")
    assert result.exit_code == 2
    assert "this is the input, which would be replaced" in result.output
    assert (folder / "x.npy").read_bytes() == before


def test_converted_weights_do_not_replace_what_they_are_made_of(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(b"kept")
    arguments = [
        "weights",
        "convert",
        "w.safetensors",
        "--from",
        "timm",
        "--spec",
        "std/preact1001",
        "-o",
        "w.safetensors",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert (folder / "w.safetensors").read_bytes() == b"kept"


# Engines, with a stand-in for TensorRT and the GPU


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Puts a small.engine and its x.npy in place; gives x."""
    play(monkeypatch, gpu="NVIDIA H200", device="cpu:0")
    write_engine(tmp_path / "small.engine")
    x = np.random.default_rng(0).standard_normal((2, *SAMPLE), np.float32)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.chdir(tmp_path)
    return x


NOTE = (
    "small.engine was built on NVIDIA H100, and its kernels were chosen there; "
    "this is NVIDIA H200, compute capability 9.0\n"
)


def test_an_engine_prints_its_classes(engine: np.ndarray) -> None:
    result = run("small.engine", "x.npy", "--top", "1")
    assert (result.exit_code, result.stderr) == (0, NOTE)
    best = summed(engine).argmax(1)
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        ["sample", f"{number}:", str(each)] for number, each in enumerate(best)
    ]


def test_an_engine_writes_its_outputs(engine: np.ndarray) -> None:
    result = run("small.engine", "x.npy", "-o", "y.npz")
    assert (result.exit_code, result.stderr) == (0, f"{NOTE}y.npz: output 2x5\n")
    with np.load("y.npz") as arrays:
        np.testing.assert_allclose(arrays["output"], summed(engine), rtol=1e-6)


def test_the_document_of_an_engine(engine: np.ndarray) -> None:
    document = json.loads(run("small.engine", "random:3", "--json").stdout)
    assert document["runtime"] == {"title": "TensorRT", "version": "10.16.1.11", "device": "NVIDIA H200"}
    assert (document["onnxruntime"], document["provider"], document["providers"]) == (None, None, [])
    assert (document["model"], document["output"], document["shape"]) == ("small.engine", "output", [1, 5])


def test_random_input_is_the_least_batch(engine: np.ndarray) -> None:
    write_engine(Path("four.engine"), batch=(4, 6, 8))
    assert len(run("four.engine", "random").stdout.splitlines()) == 4


def test_an_engine_that_does_not_run_is_refused(engine: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("many.npy", np.zeros((9, *SAMPLE), np.float32))
    write_engine(Path("old.engine"), version="10.1.0.27")
    write_engine(Path("rtx.engine"), Builder.RTX)
    Path("cut.engine").write_bytes(b"stand")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    for arguments, words in (
        (("small.engine", "many.npy"), "many.npy has a batch of 9, and small.engine takes batches of 1 to 8"),
        (("old.engine", "x.npy"), "old.engine was built with TensorRT 10.1.0.27, and 10.16.1.11 is installed"),
        (
            ("rtx.engine", "x.npy"),
            "this needs TensorRT for RTX, which is not installed\n = help: pip install 'resdsl[rtx]'",
        ),
        (("cut.engine", "x.npy"), "there is no cut.engine.json beside the engine"),
        (("missing.plan", "x.npy"), "there is no file missing.plan"),
    ):
        result = run(*arguments)
        assert words in result.stderr
        assert (result.exit_code, result.stdout) == (1, "")
