"""Files that cannot be read, imports that cannot be followed, weights and documents that do not fit."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from resdsl import api
from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.weights import network_weights
from tests.bad_input import U, net, spec
from tests.bad_input import quickly as quickly

# Files and imports.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "unit.resnet").write_text(spec("unit v { branch relu shortcut identity }"))
    (tmp_path / "outside.resnet").write_text(spec("unit v { branch relu shortcut identity }"))
    return inside


def imports(folder: Path, *lines: str, options: Options | None = None) -> list[Diagnostic]:
    path = folder / "main.resnet"
    path.write_text(spec(*lines))
    return api.check(path, options=options)


def only(found: list[Diagnostic], code: str, *words: str, at: str = "main.resnet:2:1") -> None:
    assert [d.code for d in found] == [code], found
    shown = found[0].render()
    assert f"{at}\n" in shown
    for word in words:
        assert word in shown


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("nope.resnet", "unreadable", "there is no file"),
        ("../outside.resnet", "import-outside", "widen it with `--root FOLDER`"),
        ("../../etc/passwd", "import-outside", "the folder that imports may come from"),
        ("/etc/passwd", "import-outside", "is not a relative path"),
        ("", "import-outside", "is not a relative path"),
        (".", "unreadable", "is a folder"),
        ("link.resnet", "import-outside", "leaves"),
        ("pipe", "unreadable", "is not a regular file"),
        ("binary.resnet", "unreadable", "is not UTF-8 text (byte 0)"),
        ("large.resnet", "source-too-large", "262,144 bytes"),
        ("std/nope.resnet", "unreadable", "there is no packaged spec"),
        ("std/../../etc/passwd", "import-outside", "leaves"),
        ("main.resnet", "import-cycle", "main.resnet -> main.resnet"),
    ],
)
def test_import(folder: Path, path: str, code: str, words: str) -> None:
    (folder / "link.resnet").symlink_to(folder.parent / "outside.resnet")
    (folder / "binary.resnet").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "large.resnet").write_bytes(b"#" * 300_000)
    if path == "pipe":
        os.mkfifo(folder / "pipe")
    only(imports(folder, f'import "{path}"', "network n { input 10 }"), code, words)


def test_import_that_the_root_allows(folder: Path) -> None:
    assert imports(folder, 'import "../outside.resnet"', options=Options(root=folder.parent)) == []


def test_all_imports_that_fail(folder: Path) -> None:
    found = imports(folder, 'import "a.resnet"', 'import "unit.resnet"', 'import "b.resnet"')
    assert [(d.code, d.span.location().line) for d in found if d.span] == [("unreadable", 2), ("unreadable", 4)]


def test_errors_of_an_imported_file_are_its_own(folder: Path) -> None:
    (folder / "broken.resnet").write_text(spec("unit w {", "    brnch relu", "}"))
    only(imports(folder, 'import "broken.resnet"'), "syntax", "did you mean `branch`?", at="broken.resnet:3:5")
    (folder / "newer.resnet").write_text("resnet 2\n")
    only(imports(folder, 'import "newer.resnet"'), "wrong-version", at="newer.resnet:1:8")
    (folder / "names.resnet").write_text(spec("unit w { branch relx shortcut identity }"))
    only(imports(folder, 'import "names.resnet"'), "unknown-name", at="names.resnet:2:17")
    (folder / "shape.resnet").write_text(spec("unit w(s) { branch conv(3x3, 3, s) shortcut identity }"))
    found = imports(folder, 'import "shape.resnet"', "network n { input 3x8x8 stage w(2) }")
    only(found, "shape", "in w(2) at", "main.resnet:3:31", "in stage 1 of n", at="shape.resnet:2:45")


def test_imports_in_a_ring(folder: Path) -> None:
    for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
        (folder / f"{name}.resnet").write_text(spec(f'import "{following}.resnet"'))
    only(
        imports(folder, 'import "a.resnet"'),
        "import-cycle",
        "a.resnet -> b.resnet -> c.resnet -> a.resnet",
        at="c.resnet:2:1",
    )


def test_a_long_row_of_imports(folder: Path) -> None:
    for number in range(100):
        (folder / f"a{number}.resnet").write_text(spec(f'import "a{number + 1}.resnet"'))
    (found,) = imports(folder, 'import "a0.resnet"')
    assert (found.code, "more than 50" in found.message) == ("nesting-too-deep", True)


def test_imports_that_declare_the_same(folder: Path) -> None:
    (folder / "again.resnet").write_text(spec("", "unit v { branch bn shortcut identity }"))
    found = imports(folder, 'import "unit.resnet"', 'import "again.resnet"')
    only(found, "declared-twice", "unit.resnet:2:6", "again.resnet:3:6", at="main.resnet:3:1")
    found = imports(folder, 'import "unit.resnet"', "unit v { branch bn shortcut identity }")
    only(found, "declared-twice", "main.resnet:3:6", "unit.resnet:2:6")
    assert imports(folder, 'import "unit.resnet"', 'import "./unit.resnet"', 'import "../inside/unit.resnet"') == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.resnet", None, "there is no file"),
        ("missing.json", None, "No such file"),
        ("folder", "folder", "is a folder, not a .resnet file"),
        ("latin.resnet", b"resnet 1\n# gr\xfc\xdfe\n", "is not UTF-8 text (byte 13)"),
        ("binary.resnet", bytes(range(256)), "is not UTF-8 text"),
        ("utf16.resnet", "resnet 1\n".encode("utf-16"), "is not UTF-8 text (byte 0)"),
        ("large.resnet", b"#" * 300_000, "262,144 bytes"),
        ("latin.json", b'{"\xfc": 1}', "cannot be read"),
    ],
)
def test_unreadable_file(tmp_path: Path, name: str, content: bytes | str | None, words: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
    (found,) = api.check(path)
    assert found.code in ("unreadable", "source-too-large")
    assert str(path) in found.message
    assert words in found.render()


def test_packaged_spec_that_is_not_there() -> None:
    for name, words in (
        ("std/resnet101", "did you mean `resnet1"),
        ("std/", "there are"),
        ("std/../specs", "there are"),
    ):
        (found,) = api.check(name)
        assert (found.code, words in found.help) == ("unreadable", True), found


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "bom.resnet"
    path.write_bytes("\ufeffresnet 1\nnetwork n { input 10 head relx }\n".encode())
    (found,) = api.check(path)
    assert str(found.span) == f"{path}:2:27"


# Targets and weights.


HUGE = {
    "channels": net("stem conv(3x3, 16777216) -> conv(3x3, 16777216)"),
    "features": net("stem linear(16777216)", input="16777216"),
    "window": net("stem conv(9999999x9999999, 16)"),
    "units": net("stage 100000 * v", before="unit v { branch conv(3x3, 512) shortcut identity }", input="512x8x8"),
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_more_weights_than_a_file_holds(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        api.compile(text, "onnx")
    (found,) = caught.value.diagnostics
    assert found.code == "external-data"
    assert re.search(r"the weights of n take [\d,.]+ GiB, and an ONNX file by itself holds less than 2", found.message)
    assert api.compile(text, "torch").startswith(b'"""')


NETWORK = spec(U, "network n { input 3x8x8 stage 2 * u head avgpool -> linear(3) }")
Arrays = dict[str, NDArray[np.generic]]


def arrays() -> Arrays:
    return dict(network_weights(api.build(NETWORK)))


def compiled(weights: Path) -> bytes:
    return api.compile(NETWORK, "onnx", weights=weights)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(path)
    assert {d.code for d in caught.value.diagnostics} == {"weights"}
    shown = str(caught.value)
    for word in words:
        assert word in shown
    assert "\x1b" not in shown
    assert "weights_only" not in shown, "no advice to read the file in an unsafe way"


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    good = arrays()
    kernel, bias = "stage1.0.conv.weight", "head_linear.bias"
    save_file(good, path)
    assert compiled(path) == api.compile(NETWORK, "onnx")

    save_file({name: array for name, array in good.items() if name != bias}, path)
    refused(path, f"{path} lacks 1 of the 12 tensors of n", bias)
    save_file({}, path)
    refused(path, "lacks 12 of the 12", "and 7 more")
    save_file(good | {"more": np.zeros(3, np.float32)}, path)
    refused(path, "holds 1 more than the 12 tensors of n", "more")
    save_file(good | {kernel: np.zeros((3, 3, 1, 1), np.float32)}, path)
    refused(path, f"{kernel} is 3x3x1x1, must be 3x3x3x3")
    save_file(good | {kernel: np.zeros((3, 3, 3, 3), np.int64)}, path)
    refused(path, kernel, "int64, not floating-point")
    save_file(good | {bias: np.array([0, np.nan, 0], np.float32)}, path)
    refused(path, bias, "NaN or infinity")
    save_file(good | {bias: np.array([0, 1e300, 0])}, path)
    refused(path, bias, "too large for float32")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_broken_weights(tmp_path: Path, name: str) -> None:
    if name.endswith(".pt"):
        pytest.importorskip("torch")
    path = tmp_path / name
    refused(path, f"there is no weights file {path}", "random-calibrated")
    refused(tmp_path, f"{tmp_path} is a folder, and no weights file")
    whole = save(arrays())
    for content in (
        b"",
        b"\x00",
        whole[:4],
        whole[: len(whole) // 2],
        b"not weights at all" * 100,
        b"\xff" * 8 + whole[8:],
    ):
        path.write_bytes(content)
        refused(path, str(path), "safetensors" if name.endswith("safetensors") else "PyTorch checkpoint")


class Evil:
    """Something that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_checkpoints(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path, written = tmp_path / "w.pt", tmp_path / "written"
    good = {name: torch.from_numpy(array.copy()) for name, array in arrays().items()}
    expected = api.compile(NETWORK, "onnx")
    counters = {"stage1.0.bn.num_batches_tracked": torch.tensor(7)}
    for fits in (
        good,
        good | counters,
        {"state_dict": good, "epoch": 3},
        {"model": {"state_dict": good}},
        {f"module.{name}": tensor for name, tensor in good.items()},
        {name: torch.nn.Parameter(tensor) for name, tensor in good.items()},
        {name: tensor.double() for name, tensor in good.items()},
    ):
        torch.save(fits, path)
        assert compiled(path) == expected
    torch.save({name: tensor.bfloat16() for name, tensor in good.items()}, path)
    assert len(compiled(path)) == len(expected)

    kernel = "stage1.0.conv.weight"
    for wrong, word in (
        ({"a": Evil(written)}, "other things than tensors"),
        ({"a": 3}, "no state_dict"),
        (list(good.values()), "no state_dict"),
        (dict(enumerate(good.values())), "no state_dict"),
        (torch.zeros(3), "no state_dict"),
        ({}, "lacks 12 of the 12"),
        (good | {kernel: good[kernel].int()}, "int32, not floating-point"),
        (good | {kernel: good[kernel].to(torch.complex64)}, "complex64, not floating-point"),
        (good | {kernel: good[kernel].to_sparse()}, f"{kernel} in {path} is a tensor that is sparse"),
        (good | {kernel: good[kernel].to("meta")}, "without numbers"),
        (good | {kernel: good[kernel] * float("nan")}, "NaN or infinity"),
        (good | {"more": torch.zeros(3)}, "holds 1 more"),
    ):
        torch.save(wrong, path)
        refused(path, word, str(path))
    assert not written.exists()


def document() -> dict[str, object]:
    return json.loads(api.compile(NETWORK, "json"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "this is no JSON"),
        ('{"a": 1}', "lacks"),
        ("[" * 100_000, ""),
        ('{"a":' * 100_000, "nested"),
        ('{"resdsl": NaN}', "finite"),
    ],
)
def test_wrong_document(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "n.json"
    path.write_text(text)
    found = api.check(path)
    assert found
    assert {d.code for d in found} == {"document"}
    assert words in "\n".join(d.render() for d in found)


def test_wrong_parts_of_a_document() -> None:
    good = document()
    for change, words in (
        ({"resdsl": 2}, "the version of the format"),
        ({"name": "a/b"}, "/name"),
        ({"input": {"image": [0, 8, 8]}}, "/input"),
        ({"input": {"image": [4, 8, 8]}}, "what the unit reads here is 4x8x8"),
        ({"extra": 1}, "unknown key"),
        ({"head": [{"linear": 3}]}, "/head/0"),
    ):
        source = Source("n.json", json.dumps(good | change))
        found = api.check(source)
        assert {d.code for d in found} == {"document"}
        assert words in "\n".join(d.render() for d in found)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_what_wrappers_put_before_all_names_is_taken_off(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file({f"{prefix}{name}": array for name, array in arrays().items()}, path)
    read = network_weights(api.build(NETWORK), str(path))
    assert all(np.array_equal(read[name], array) for name, array in arrays().items())


def test_bfloat16_in_safetensors_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.safetensors"
    rounded = {name: torch.from_numpy(array).bfloat16() for name, array in arrays().items()}
    pytest.importorskip("safetensors.torch").save_file(rounded, path)
    read = network_weights(api.build(NETWORK), str(path))
    assert all(np.array_equal(read[name], tensor.float().numpy()) for name, tensor in rounded.items())


def test_arrays_are_weights_too() -> None:
    read = network_weights(api.build(NETWORK), arrays())
    assert all(np.array_equal(read[name], array) for name, array in arrays().items())
