"""`resdsl compile --target onnx`: passes, precisions, what is printed of them, and that nothing wrong is written."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import Result
from numpy.typing import NDArray
from safetensors.numpy import save_file

import resdsl
from resdsl.network.initial import Weights
from resdsl.passes import run as passes_run
from resdsl.passes.draft import Draft
from resdsl.passes.table import PASSES
from resdsl.passes.tally import Tally
from resdsl.spec import build
from resdsl.targets import onnx_compare, onnx_proof
from resdsl.targets.onnx_int8 import write as int8_write
from resdsl.weights import CALIBRATED, network_weights
from tests.cli.test_exit_codes import everything, process, run

SPEC = """resnet 1
unit u(width, stride = 1) {
    placement pre
    branch conv(3x3, width, stride) -> conv(3x3, width)
    shortcut identity
    projection conv(1x1)
}
network small(n = 2, classes = 10) {
    input 3x8x8
    stem  conv(3x3, 8)
    stage n * u(8)
    stage n * u(16) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(classes)
}
"""
PLAIN = "resnet 1\nnetwork plain { input 64 stem linear(64) -> relu head linear(3) }\n"
BEFORE = b"what stood here before"
INT8 = ("--precision", "int8", "--calibration", "x.npy")
LINE = "from the network without passes on"
ALL = ",".join(PASSES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.resnet").write_text(SPEC, encoding="utf-8")
    (tmp_path / "plain.resnet").write_text(PLAIN, encoding="utf-8")
    np.save(tmp_path / "x.npy", samples())
    (tmp_path / "m.onnx").write_bytes(BEFORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def samples(count: int = 70) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((count, 3, 8, 8), np.float32)


def compiled(*arguments: str, spec: str = "small.resnet", weights: str = CALIBRATED) -> Result:
    return run("compile", "-t", "onnx", spec, "-o", "m.onnx", "--weights", weights, *arguments)


def model(*arguments: str) -> onnx.ModelProto:
    """What is written, checked; it is not compared first."""
    result = compiled("--no-verify", *arguments)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    onnx.checker.check_model("m.onnx", full_check=True)
    return onnx.load("m.onnx")


def told(*arguments: str, spec: str = "small.resnet", weights: str = CALIBRATED) -> list[str]:
    """The lines below the first, which has the file's size."""
    result = compiled(*arguments, spec=spec, weights=weights)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    first, *others = result.stderr.splitlines()
    assert first.startswith("m.onnx: ")
    assert first.split(" bytes")[0].endswith(f" {sum(Path(n).stat().st_size for n in files()):,}")
    assert all(line.startswith("  ") for line in others)
    return [line[2:] for line in others]


def files() -> list[str]:
    return [name for name in ("m.onnx", "m.onnx.data") if os.path.exists(name)]


def refused(folder: Path, *arguments: str, code: int = 1, words: str, weights: str = CALIBRATED) -> None:
    """It leaves with `code`, says `words`, and all that is in the folder stays as it was."""
    before = everything(folder)
    result = compiled(*arguments, weights=weights)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert everything(folder) == before


def kinds(written: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in written.graph.node)


def metadata(written: onnx.ModelProto) -> dict[str, str]:
    return {entry.key.removeprefix("resdsl."): entry.value for entry in written.metadata_props}


def outputs(path: str = "m.onnx") -> NDArray[np.float32]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": samples(8)})[0]


def saved(name: str, spec: str, **changes: float) -> str:
    """A file of the initial weights, some of them filled with a number."""
    weights: Weights = network_weights(build(spec), CALIBRATED)
    for tensor, value in changes.items():
        weights[tensor.replace("__", ".")] = np.full_like(weights[tensor.replace("__", ".")], value)
    save_file(weights, name)
    return name


# Passes


def test_passes_are_listed() -> None:
    result = run("compile", "--passes")
    assert result.exit_code == 0
    rows = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert rows == [[f"-O{each.level}", each.name, each.summary] for each in PASSES.values()]


@pytest.mark.parametrize(
    ("arguments", "norms", "ran"),
    [
        (["-O0"], 9, ""),
        (["-O1"], 5, ALL.removesuffix(",fold-preactivation")),
        (["-O2"], 0, ALL),
        ([], 0, ALL),
        (["--passes", "fold-batchnorm"], 5, "fold-batchnorm"),
        (["--passes", "fold-preactivation"], 4, "fold-preactivation"),
        (["--passes", "fold-preactivation, fold-batchnorm"], 0, "fold-batchnorm,fold-preactivation"),
        (["--passes", "remove-dead"], 9, "remove-dead"),
    ],
    ids=lambda value: " ".join(value) or "default" if isinstance(value, list) else None,
)
def test_levels_and_names_choose(folder: Path, arguments: list[str], norms: int, ran: str) -> None:
    written = model(*arguments)
    assert kinds(written)["BatchNormalization"] == norms
    assert kinds(written)["Conv"] == 10
    assert metadata(written)["passes"] == ran
    found = outputs()
    model("-O0")
    np.testing.assert_allclose(found, outputs(), rtol=0, atol=1e-5 * np.abs(found).max())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-O1", "--passes", "fold-scales"), "-O and --passes: one of them chooses"),
        (("-O3",), "3 is not in the range 0<=x<=2"),
        (("-O", "-1"), "-1 is not in the range"),
        (("-Ofast",), "'fast' is not a valid integer"),
        (("--passes", "fold-scale"), "there is no pass 'fold-scale'\n = help: did you mean `fold-scales`?"),
        (("--passes", "zzz"), "there is no pass 'zzz'\n = help: `resdsl compile --passes` lists them"),
        (("--passes", "fold-scales,"), "there is no pass ''"),
        (("--passes", ""), "--passes: it is empty"),
        (("--passes= ",), "--passes: it is empty"),
        (("--precision", "fp8"), "'fp8' is not one of"),
        (("--for", "ort-cpu"), "--for: this is for `--precision int8`"),
        (("--precision", "fp16", "--for", "tensorrt"), "--for: this is for `--precision int8`"),
        (("--calibration", "x.npy"), "--calibration: this is for `--precision int8`"),
        ((*INT8, "--for", "gpu"), "'gpu' is not one of"),
        (("--mean", "0"), "--mean is for images, and none are given"),
        ((*INT8, "--std", "1"), "--std is for images, and x.npy holds none"),
        (("--precision", "int8", "--calibration", ".", "--mean", "1,2"), "--mean: 1,2 does not normalise images"),
        (("--opset", "16"), "ONNX opset 16 cannot be written\n = help: one of 17 to 24"),
        (("--opset", "25"), "ONNX opset 25 cannot be written"),
        (("--opset", "21", "--precision", "bf16"), "ONNX opset 21 has no bf16 convolutions"),
        (("--opset", "30", *INT8), "ONNX opset 30 cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    refused(folder, *arguments, code=2, words=words)


@pytest.mark.parametrize("target", ["torch", "json"])
@pytest.mark.parametrize(
    "option",
    [
        "--weights=w.pt",
        "--seed=0",
        "-O2",
        "--passes=fold-scales",
        "--precision=fp32",
        "--calibration=x.npy",
        "--for=ort-cpu",
        "--mean=0",
        "--std=1",
        "--verify",
        "--no-verify",
        "--opset=21",
        "--functions",
        "--external-data",
    ],
)
def test_options_of_onnx_are_of_no_other_target(folder: Path, target: str, option: str) -> None:
    before = everything(folder)
    result = run("compile", "-t", target, "small.resnet", "-o", "m.py", option)
    name = option[:2] if option.startswith("-O") else option.partition("=")[0].replace("--no-", "--")
    assert f"{name}: a {target} file holds no weights and no ONNX" in result.stderr
    assert (result.exit_code, result.stdout) == (2, "")
    assert everything(folder) == before


@pytest.mark.parametrize("arguments", [["compile", "--help"], ["compile", "-t", "torch", "std/preact1001"]])
def test_nothing_of_onnx_loads_where_none_is_written(arguments: list[str]) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from resdsl.cli import main; "
        f"assert CliRunner().invoke(main, {arguments!r}).exit_code == 0; "
        "print([name for name in ('numpy', 'onnxruntime', 'onnx', 'torch', 'PIL') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# Precisions


@pytest.mark.parametrize(
    ("precision", "kind", "opset"),
    [
        ("fp32", onnx.TensorProto.FLOAT, 21),
        ("fp16", onnx.TensorProto.FLOAT16, 21),
        ("bf16", onnx.TensorProto.BFLOAT16, 22),
        ("int8", onnx.TensorProto.INT8, 21),
    ],
)
def test_each_precision(folder: Path, precision: str, kind: int, opset: int) -> None:
    written = model(*(INT8 if precision == "int8" else ("--precision", precision)))
    held = {tensor.name: tensor.data_type for tensor in written.graph.initializer}
    ending = ".quantised" if precision == "int8" else ""
    assert {held[f"stage{stage}.1.conv2.weight{ending}"] for stage in (1, 2)} == {kind}
    ends = [*written.graph.input, *written.graph.output]
    assert [(each.name, each.type.tensor_type.elem_type) for each in ends] == [
        ("input", onnx.TensorProto.FLOAT),
        ("output", onnx.TensorProto.FLOAT),
    ]
    assert metadata(written)["precision"] == precision
    assert written.opset_import[0].version == opset


def test_int8_is_written_for_one_runtime(folder: Path) -> None:
    activations = {}
    for form in ("ort-cpu", "tensorrt"):
        written = model(*INT8, "--for", form)
        assert metadata(written)["for"] == form
        points = {tensor.name: tensor.data_type for tensor in written.graph.initializer}
        activations[form] = points["stage1.0.add.zero_point"]
    assert activations == {"ort-cpu": onnx.TensorProto.UINT8, "tensorrt": onnx.TensorProto.INT8}
    model(*INT8)
    assert metadata(onnx.load("m.onnx"))["for"] == "ort-cpu"


@pytest.mark.parametrize("kind", ["npy", "npz", "folder"])
def test_a_calibration_is_what_int8_is_measured_on(folder: Path, kind: str) -> None:
    """The command's file is that of the library's call with the same samples."""
    name = {"npy": "x.npy", "npz": "x.npz", "folder": "parts"}[kind]
    np.savez("x.npz", input=samples(), labels=np.zeros(70))
    (folder / "parts").mkdir()
    np.save("parts/a.npy", samples()[:1])
    np.save("parts/b.npy", samples()[1:])
    written = model("--precision", "int8", "--calibration", name)
    same = resdsl.compile("small.resnet", weights=CALIBRATED, precision="int8", calibration=samples())
    assert (folder / "m.onnx").read_bytes() == same
    (scale,) = (tensor for tensor in written.graph.initializer if tensor.name == "input.scale")
    assert onnx.numpy_helper.to_array(scale) == pytest.approx((samples().max() - samples().min()) / 255)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (None, "error[unreadable]: there is no file bad.npy"),
        (samples()[:, :1], "bad.npy holds 70 x 1 x 8 x 8, and the network reads n x 3 x 8 x 8"),
        (samples(0), "bad.npy holds no samples"),
        (samples().transpose(0, 2, 3, 1), "put the channels before height and width"),
        (samples().astype(np.int16), "bad.npy holds int16, and the network reads normalised"),
        (samples() * np.nan, "bad.npy holds NaN, infinity"),
    ],
    ids=["not there", "shape", "empty", "channels last", "whole numbers", "NaN"],
)
def test_a_calibration_that_cannot_be(folder: Path, x: NDArray[np.generic] | None, words: str) -> None:
    if x is not None:
        np.save("bad.npy", x)
    refused(folder, "--precision", "int8", "--calibration", "bad.npy", words=words)


def test_int8_without_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(folder, "--precision", "int8", words="error[calibration]: int8 needs inputs to measure the ranges")
    refused(folder, "--precision", "int8", "--calibration", "", words="the path of the inputs is empty")
    (folder / "empty").mkdir()
    refused(folder, "--precision", "int8", "--calibration", "empty", words="empty holds no samples")
    refused(folder, *INT8, "--functions", words="leave `--functions` out")
    without_runtime(monkeypatch)
    refused(folder, *INT8, words="error[missing-library]: int8 measures ranges with ONNX Runtime")


def without_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
    )


# What is printed


def test_what_passes_did_and_moved_is_told(folder: Path) -> None:
    passes, moved = told()
    assert passes == "fold-batchnorm 4, fold-preactivation 5"
    assert LINE in moved
    assert moved.endswith(f"; rounding alone gives {moved.split()[-1]}")
    assert 0 < float(moved.split()[0]) < 1e-5
    assert told("-O0") == []
    assert told("--no-verify") == [passes]
    assert told("-O0", "--verify") == ["nothing to compare: no pass changed anything"]
    assert told(spec="plain.resnet") == []


def test_what_a_pass_leaves_is_told(folder: Path) -> None:
    weights = network_weights(build(SPEC), CALIBRATED)
    weights["stage1.0.bn1.weight"][3] = -1
    save_file(weights, "w.safetensors")
    passes, left, _ = told(weights="w.safetensors")
    assert passes.startswith("fold-batchnorm 4, fold-preactivation ")
    assert left.startswith("fold-preactivation leaves 1: ")
    assert left.endswith("(stage1.0)")


def test_what_a_precision_adds_is_told(folder: Path) -> None:
    _, _, half = told("--precision", "fp16")
    assert half.startswith("fp16 adds ")
    assert half.endswith(") on 2 random inputs, the CPU keeping activations in float32")
    numbers = [float(number) for number in re.findall(r"\d\.\de-\d\d", half)]
    assert len(numbers) == 2
    assert all(1e-5 < number < 1e-2 for number in numbers)
    _, _, brain = told("--precision", "bf16")
    assert brain.startswith("bf16 is not compared: ONNX Runtime's CPU has no kernel")
    _, moved, whole = told(*INT8)
    assert f"{LINE} 64 of its calibration inputs" in moved
    assert whole.startswith("int8 adds ")
    assert " on 64 of its calibration inputs; " in whole
    assert whole.endswith("% keep their class")
    assert told("-O0", *INT8)[0].startswith("int8 adds ")


def test_few_samples_of_a_calibration_are_told(folder: Path) -> None:
    np.save("few.npy", samples(5))
    *_, whole, few = told("--precision", "int8", "--calibration", "few.npy")
    assert "on 5 of its calibration inputs" in whole
    assert few == "int8 adds more on others: 5 are few to measure ranges on; give 64 or more"


def test_samples_are_compared_all_over_the_calibration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data are often sorted by class: of 70, every part is compared on, not the first 7."""
    monkeypatch.setattr(onnx_proof, "CALIBRATION_INPUTS", 7)
    seen: list[NDArray[np.float32]] = []
    real = onnx_compare.compare
    monkeypatch.setattr(onnx_compare, "compare", lambda made, x: (seen.append(x), real(made, x))[1])
    told(*INT8)
    np.testing.assert_array_equal(seen[0], samples()[::10])


def test_without_onnx_runtime_it_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_runtime(monkeypatch)
    assert told()[1] == "not compared with the network without passes: ONNX Runtime is not installed (resdsl[ort])"
    assert len(told("-O0")) == 0
    refused(
        folder, "--verify", words="error[missing-library]: `--verify` runs the model with ONNX Runtime, which is not"
    )
    assert told("-O0", "--verify") == ["nothing to compare: no pass changed anything"]


def test_large_weights_are_compared_where_that_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_proof, "MAX_COMPARED", 10)
    assert told()[1] == "not compared with the network without passes: 0 MiB of weights; `--verify` does it"
    assert LINE in told("--verify")[1]
    monkeypatch.setattr(onnx_proof, "MAX_ONNX_BYTES", 10)
    assert told()[1].endswith("0 MiB of weights, and ONNX Runtime takes a model of less than 2 GiB at once")
    refused(folder, "--verify", words="error[not-compared]: small has 0.0 GiB of weights, and ONNX Runtime compares")


def test_many_nodes_are_compared_where_that_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if functions hold them."""
    nodes = len(model().graph.node)
    monkeypatch.setattr(onnx_proof, "MAX_COMPARED_NODES", nodes)
    assert LINE in told()[1]
    monkeypatch.setattr(onnx_proof, "MAX_COMPARED_NODES", nodes - 1)
    for more in ((), ("--functions",)):
        assert told(*more)[1] == f"not compared with the network without passes: {nodes} nodes; `--verify` does it"
    assert LINE in told("--verify")[1]


def test_an_output_that_is_not_finite_is_said(folder: Path) -> None:
    weights = saved("w.safetensors", SPEC, stem_conv__weight=1e30, stage1__0__conv2__weight=1e30)
    assert told(weights=weights)[-1] == (
        "not compared with the network without passes: its output on 2 random inputs is not finite;"
        " `--weights random-calibrated` can be compared"
    )
    words = (
        "error[not-compared]: the output of small on 2 random inputs is not finite, so nothing can be compared with it"
    )
    refused(folder, "--verify", weights=weights, words=words)


# What is wrong is not written


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1.01, "the passes move the output of small by "), (1e30, "the passes take the output of small out of float32")],
)
def test_a_wrong_pass_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, factor: float, words: str) -> None:
    def broken(draft: Draft) -> Tally:
        for name in ("stage1.0.conv2.weight", "stage1.1.conv2.weight", "head_linear.weight"):
            draft.weights[name] = draft.weights[name] * np.float32(factor)
        return Tally(("stage1.0",))

    monkeypatch.setitem(passes_run.RUN, "fold-scales", broken)
    for more in ((), ("--verify",), ("--functions",), ("--external-data",), ("--passes", "fold-scales"), ("--precision", "bf16")):  # fmt: skip
        refused(folder, *more, words=f"error[passes-differ]: {words}")
    refused(folder, words="`-O0` writes without passes, `--no-verify` without comparing")
    (folder / "m.onnx").unlink()
    refused(folder, words="; nothing is written")
    assert told("-O0") == []
    assert told("--no-verify")[0].startswith("fold-scales 1, ")


def test_weights_that_do_not_fit_write_nothing(folder: Path) -> None:
    weights = network_weights(build(SPEC))
    del weights["stage2.1.conv2.weight"]
    save_file(weights, "less.safetensors")
    save_file(network_weights(build(SPEC, "small", {"classes": 3})), "other.safetensors")
    for name, word in (("less", "stage2.1.conv2.weight"), ("other", "head_linear.weight")):
        for more in ((), INT8, ("--external-data",)):
            refused(folder, *more, weights=f"{name}.safetensors", words="error[weights]: ")
            refused(folder, *more, weights=f"{name}.safetensors", words=word)


def test_weights_beyond_fp16_write_nothing(folder: Path) -> None:
    weights = saved("w.safetensors", SPEC, stage2__1__conv2__weight=1e6)
    refused(folder, "--precision", "fp16", weights=weights, words="fp16 ends at 65504")


@pytest.mark.parametrize("more", [(), ("-O0",), ("--functions",)], ids=" ".join)
def test_activations_beyond_fp16_write_nothing(folder: Path, more: tuple[str, ...]) -> None:
    """Every weight fits, and ONNX Runtime's CPU, which keeps what lies between nodes in float32, gives a fine output."""
    weights = saved("w.safetensors", SPEC, stem_conv__weight=1e4)
    words = re.compile(
        r"error\[out-of-range\]: stem_conv reaches \d\.\d+e\+05 on 2 random inputs, and fp16 ends at 65504; no"
    )
    result = compiled("--precision", "fp16", *more, weights=weights)
    assert words.search(result.stderr), result.stderr
    refused(
        folder, "--precision", "fp16", *more, weights=weights, words="or `--precision bf16`, which has that of float32"
    )
    assert told("--precision", "bf16", *more, weights=weights)[-1].startswith("bf16 is not compared")
    told("--precision", "fp16", "--no-verify", *more, weights=weights)


def test_activations_that_leave_float32_write_no_fp16(folder: Path) -> None:
    """Nothing can be compared with them, which float32 says and fp16 need not."""
    names = ("stem_conv", *(f"stage{stage}__{copy}__conv2" for stage in (1, 2) for copy in (0, 1)), "head_linear")
    weights = saved("w.safetensors", SPEC, **{f"{name}__weight": 6e4 for name in names}, head_bn__weight=1e30)
    assert told(weights=weights)[-1].startswith("not compared with the network without passes: its output on 2 random")
    refused(folder, "--precision", "fp16", "-O0", weights=weights, words="error[out-of-range]: head_bn.weight holds")
    weights = saved("w.safetensors", SPEC, **{f"{name}__weight": 6e4 for name in names})
    refused(folder, "--precision", "fp16", weights=weights, words="error[out-of-range]: stem_conv reaches ")


def test_a_precision_whose_output_is_not_finite_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = onnx_compare.Difference(np.nan, np.nan, None)
    monkeypatch.setattr(onnx_compare, "compare", lambda *_: onnx_compare.Comparison(1e-7, 1e-7, nothing))
    words = "error[out-of-range]: int8 gives an output on 64 of its calibration inputs that is not finite; nothing is"
    refused(folder, *INT8, words=words)


def test_int8_of_a_network_that_overflows_writes_nothing(folder: Path) -> None:
    weights = saved("w.safetensors", SPEC, stem_conv__weight=1e30, stage1__0__conv2__weight=1e30)
    refused(folder, *INT8, "--external-data", weights=weights, words="is NaN or infinite")


@pytest.mark.parametrize("more", [(), INT8, ("--external-data",), (*INT8, "--external-data")], ids=" ".join)
def test_a_read_only_folder_stays_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    def fail(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", fail)
    refused(folder, *more, words="error[unwritable]: m.onnx cannot be written: Read-only file system")


@pytest.mark.parametrize("more", [INT8, ("--external-data",), (*INT8, "--external-data")], ids=" ".join)
def test_a_full_disk_leaves_no_half_model(folder: Path, more: tuple[str, ...]) -> None:
    before = everything(folder)
    result = process("compile", "-t", "onnx", "small.resnet", "-o", "m.onnx", "--weights", CALIBRATED, *more, limit=2**13)  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error[unwritable]: m.onnx cannot be written: File too large\n\n"
    assert everything(folder) == before


def test_a_model_too_large_for_int8_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_write, "MAX_BYTES", 10_000)
    refused(folder, *INT8, words="int8 is written for models below 2 GB, and small has more")


# What is written


def test_metadata(folder: Path) -> None:
    written = model("-p", "n=3", *INT8, "--for", "tensorrt", "--passes", "fold-batchnorm")
    assert written.producer_name == "resdsl"
    assert written.producer_version == resdsl.__version__
    found = metadata(written)
    assert json.loads(found.pop("parameters")) == {"n": "3"}
    assert len(found.pop("spec_sha256")) == 64
    assert found == {"network": "small", "precision": "int8", "for": "tensorrt", "passes": "fold-batchnorm"}
    assert "for" not in metadata(model())


@pytest.mark.parametrize("precision", [(), ("--precision", "fp16")], ids=["fp32", "fp16"])
def test_functions_are_the_distinct_units_behind_the_passes(folder: Path, precision: tuple[str, ...]) -> None:
    """Of four units, the folded ones of the first stage and of the second's end are alike but for what they project."""
    written = model("--functions", *precision)
    calls = {node.name: node.op_type for node in written.graph.node if node.domain == "resdsl"}
    assert list(calls) == ["stage1.0", "stage1.1", "stage2.0", "stage2.1"]
    assert len(set(calls.values())) == 3
    assert calls["stage1.0"] == calls["stage1.1"]
    assert {function.name for function in written.functions} == set(calls.values())
    bodies = [node.op_type for function in written.functions for node in function.node]
    assert "BatchNormalization" not in bodies
    assert bodies.count("Conv") == 7
    found = outputs()
    model(*precision)
    np.testing.assert_array_equal(found, outputs())


def test_names_follow_the_spec(folder: Path) -> None:
    assert run("compile", "-t", "onnx", "std/resnet164", "--network", "preact164", "-o", "m.onnx", "--no-verify").exit_code == 0  # fmt: skip
    written = onnx.load("m.onnx")
    assert "stage2.17.conv3" in {node.name for node in written.graph.node}
    assert {"stage2.17.conv3.weight", "stage2.17.conv3.bias"} <= {t.name for t in written.graph.initializer}


@pytest.mark.parametrize("form", ["ort-cpu", "tensorrt"])
def test_names_follow_the_spec_in_int8(folder: Path, form: str) -> None:
    """Every layer of the float32 model is there under its name, and every other node is named after a value of it."""
    plain = model()
    before = {node.name: node.op_type for node in plain.graph.node}
    written = model(*INT8, "--for", form)
    after = {node.name: node.op_type for node in written.graph.node}
    assert len(after) == len(written.graph.node)
    assert set(before) <= set(after)
    assert after["stage2.1.conv2"] == "Conv"
    known = {*before, *(tensor.name for tensor in plain.graph.initializer), "input"}
    assert {name.rpartition(".")[2] for name in set(after) - set(before)} == {"quantise", "dequantise"}
    assert {name.rpartition(".")[0] for name in set(after) - set(before)} <= known
    assert "stage2.1.conv2.weight.quantised" in {tensor.name for tensor in written.graph.initializer}


@pytest.mark.parametrize(
    "arguments",
    [(), ("--functions",), ("--precision", "fp16"), ("--precision", "bf16"), INT8, ("--external-data",)],
    ids=" ".join,
)
def test_the_same_call_writes_the_same_bytes(folder: Path, arguments: tuple[str, ...]) -> None:
    written = []
    for verify in ("--verify", "--no-verify"):
        assert compiled(verify, *arguments).exit_code == 0
        written.append({name: (folder / name).read_bytes() for name in files()})
    assert written[0] == written[1]
    assert len(written[0]) == 1 + ("--external-data" in arguments)
