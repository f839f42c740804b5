"""`resdsl export`, and the whole way: from a spec to a model in use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.numpy import load_file

from resdsl.cli import main
from resdsl.recorded import CLASSES, NORMALISATION
from resdsl.train.data.digits import digits
from resdsl.train.run.folder import LAST
from tests.cli.interrupting import interrupted_at

NETWORK = ("std/resnet110", "--network", "preact110", "-p", "n=1")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    result = run("train", *NETWORK, "--iterations", "66", "-o", str(folder))
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With `run`, which is not to be changed."""
    (tmp_path / "run").symlink_to(trained)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_from_a_spec_to_a_model_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By commands alone: trained, interrupted, resumed, exported, evaluated, verified, run. What each says is what ONNX Runtime computes
    with what they wrote.
    """
    monkeypatch.chdir(tmp_path)
    training = ("train", *NETWORK, "--iterations", "220", "-o", "run")
    with interrupted_at(100):
        assert run(*training).exit_code == 130
    assert not Path("run", LAST).exists()
    made = run(*training, "--resume")
    assert made.exit_code == 0, made.output
    assert re.search(r", from iteration 1\d\d on$", made.stderr, re.MULTILINE)
    written = run("export", "run", "-o", "digits.onnx")
    assert written.exit_code == 0, written.output
    assert "as many as in PyTorch" in written.stdout
    ofrun, ofmodel = (
        json.loads(run("evaluate", *arguments, "--json").stdout)
        for arguments in (("run",), ("digits.onnx", "--data", "digits"))
    )
    assert ofrun["error"] < 0.05, "more than 95 % are right"
    assert ofmodel["confusion"] == ofrun["confusion"]
    assert ofmodel["loss"] == pytest.approx(ofrun["loss"], rel=1e-4)
    assert f"{ofmodel['wrong']} of {ofmodel['samples']} wrong" in written.stdout
    assert run("verify", "run/network.json", "--weights", "run/best.safetensors").exit_code == 0
    data = digits()
    Image.fromarray(data.test.inputs[0, 0]).save("digit.png")
    top = json.loads(run("run", "digits.onnx", "digit.png", "--json").stdout)["top"][0][0]["class"]
    said = json.loads({each.key: each.value for each in onnx.load("digits.onnx").metadata_props}[NORMALISATION])
    mean, std = (np.array(said[name]["values"], np.float32) for name in ("mean", "std"))
    inputs = (data.test.inputs.astype(np.float32) / 255 - mean) / std
    session = onnxruntime.InferenceSession("digits.onnx", providers=["CPUExecutionProvider"])
    called = session.run(None, {"input": inputs})[0].argmax(1)
    assert top == called[0]
    assert (called != data.test.labels).sum() == ofmodel["wrong"]


def test_a_model_beside_its_weights(folder: Path) -> None:
    result = run("export", "run", "--weights", "last", "--weights-out", "w.safetensors", "--passes", "fold-batchnorm")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("preact110.onnx: preact110 of run (last), ")
    for words in ("fold-batchnorm 4", "comparisons with float64 on 8 test inputs hold", "w.safetensors: the weights"):
        assert words in result.stdout
    assert {path.name for path in folder.iterdir()} == {"run", "preact110.onnx", "w.safetensors"}
    kept, last = load_file("w.safetensors"), load_file("run/last.safetensors")
    assert all(np.array_equal(kept[name], last[name]) for name in last)
    entries = {each.key: each.value for each in onnx.load("preact110.onnx").metadata_props}
    assert json.loads(entries[CLASSES]) == list("0123456789")
    assert entries["resdsl.passes"] == "fold-batchnorm"


def test_int8_is_calibrated_by_itself(folder: Path) -> None:
    result = run("export", "run", "--precision", "int8", "-o", "small.onnx", "--limit", "100")
    assert result.exit_code == 0, result.output
    assert "of 100 wrong" in result.stdout
    assert "int8 adds" in result.stdout
    types = {each.data_type for each in onnx.load("small.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in types


def test_other_normalisations_of_an_image(folder: Path) -> None:
    """What is given wins over what the model records."""
    assert run("export", "run", "-o", "m.onnx").exit_code == 0
    pixels = digits().test.inputs[0]
    Image.fromarray(pixels[0]).save("digit.png")
    for arguments in ((), ("--mean", "0.25", "--std", "0.5")):
        assert run("run", "m.onnx", "digit.png", "-o", "y.npy", *arguments).exit_code == 0
        mean, std = (0.25, 0.5) if arguments else recorded("m.onnx")
        session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
        x = ((pixels.astype(np.float32) / 255 - mean) / std).astype(np.float32)[None]
        np.testing.assert_allclose(np.load("y.npy"), session.run(None, {"input": x})[0], rtol=1e-4, atol=1e-5)


def test_a_network_that_was_trained_on_floats_takes_no_image(folder: Path) -> None:
    """0 to 255, as Keras hands them out: read as 0 to 1 they would all be one grey, and nobody would know."""
    data = digits()
    arrays = {"x_train": data.train.inputs, "x_test": data.test.inputs}
    floats = {name: each.astype(np.float32) for name, each in arrays.items()}
    np.savez("floats.npz", **floats, y_train=data.train.labels, y_test=data.test.labels)
    Image.fromarray(data.test.inputs[0, 0]).save("digit.png")
    made = run("train", *NETWORK, "--data", "floats.npz", "--iterations", "2", "-o", "floats")
    assert made.exit_code == 0, made.output
    assert run("export", "floats", "-o", "f.onnx", "--limit", "8").exit_code == 0
    said = json.loads({each.key: each.value for each in onnx.load("f.onnx").metadata_props}[NORMALISATION])
    assert said["divisor"] == 1
    assert said["mean"]["values"][0][0][0] > 1
    refused = run("run", "f.onnx", "digit.png")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "f.onnx was trained on numbers as they were in its data" in refused.stderr
    assert "--mean and --std" in refused.stderr
    mean, std = (said[name]["values"][0][0][0] for name in ("mean", "std"))
    given = run("run", "f.onnx", "digit.png", "--mean", str(mean / 255), "--std", str(std / 255), "-o", "y.npy")
    assert given.exit_code == 0, given.output
    x = (floats["x_test"][:1] - np.float32(mean)) / np.float32(std)
    np.save("x.npy", x)
    assert run("run", "f.onnx", "x.npy", "-o", "z.npy").exit_code == 0
    np.testing.assert_allclose(np.load("y.npy"), np.load("z.npy"), rtol=1e-3, atol=1e-4)


def recorded(model: str) -> tuple[np.ndarray, np.ndarray]:
    said = json.loads({each.key: each.value for each in onnx.load(model).metadata_props}[NORMALISATION])
    mean, std = (np.array(said[name]["values"], np.float32) for name in ("mean", "std"))
    return mean, std


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none",), 1, "error[no-run]: none holds no run"),
        ((".",), 1, "error[no-run]: . holds no run"),
        (("run", "--weights", "none.safetensors"), 1, "there is no weights file none.safetensors"),
        (("run", "--data", "none"), 2, "error[unknown-data]"),
        (("run", "--data", "cifar10"), 2, "--data cifar10: name the folder where it lies with --root"),
        (("run", "-o", "m.engine"), 2, "-o m.engine: name a file that ends in .onnx"),
        (("run", "-t", "trt", "-o", "m.onnx"), 2, "-o m.onnx: name a file that ends in .engine, .plan or .trt"),
        (("run", "-t", "torch"), 2, "'torch' is not one of"),
        (("run", "-t", "trt", "--for", "tensorrt"), 2, "--for: an engine is always for TensorRT"),
        (("run", "--batch", "8"), 2, "--batch: this is for `--target trt`, and onnx is no engine"),
        (("run", "--for", "tensorrt"), 2, "--for: this is for `--precision int8`"),
        (("run", "--weights-out", "w.pt"), 2, "--weights-out w.pt: name a file that ends in .safetensors"),
        (("run", "-O1", "--passes", "fold-batchnorm"), 2, "-O and --passes: one of them chooses"),
        (("run", "--passes", "fold"), 2, "error[unknown-pass]"),
        (("run", "-o", "no/such/m.onnx"), 1, "there is no folder"),
        (("run", "--device", "tpu"), 2, "--device: 'tpu' is none of cpu, cuda, cuda:N"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run("export", *arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert [path.name for path in folder.iterdir()] == ["run"]


def test_weights_that_would_be_replaced(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes((folder / "run" / "best.safetensors").read_bytes())
    result = run("export", "run", "--weights", "w.safetensors", "--weights-out", "w.safetensors")
    assert result.exit_code == 2
    assert "w.safetensors is read, and w.safetensors would replace it" in result.stderr
