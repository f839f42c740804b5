"""`resdsl analyze`, on networks of a few small units."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from resdsl.cli import main

SPEC = """resnet 1
unit u(width, shortcut, stride = 1) { placement pre branch conv(3x3, width, stride) -> conv(3x3, width) shortcut shortcut projection conv(1x1) }
network clean(shortcut = identity, n = 3) { input 3x8x8 stem conv(3x3, 8) stage n * u(8, shortcut) stage n * u(16, shortcut) first(stride = 2) head bn -> relu -> avgpool -> linear(4) }
network halved = clean(shortcut = scale(0.5))
network plain = clean(shortcut = none)
network flat { input 3x8x8 head avgpool -> linear(4) }
"""
SQUARED = """resnet 1
unit u { branch linear(4, bias = false) -> linear(4, bias = false) shortcut identity }
network squared { init normal(0.1) input 4 stage 2 * u }
"""
SCHEMA = json.loads(resources.files("resdsl.analysis").joinpath("analysis.schema.json").read_text("utf-8"))


def analyze(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["analyze", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def said(*arguments: str) -> dict:  # type: ignore[type-arg]
    result = analyze(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    Draft202012Validator(SCHEMA).validate(document)
    return document


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "n.resnet").write_text(SPEC)
    (tmp_path / "squared.resnet").write_text(SQUARED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table() -> None:
    result = analyze("n.resnet", "--network", "clean", "--samples", "4")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "clean: 6 units, weights initial, 4 samples of 3x8x8, seed 0, fp32"
    assert [line.split()[0] for line in lines[3:9]] == [f"stage{s}.{i}" for s in (1, 2) for i in range(3)]
    assert "The gradient passes " in result.stdout
    assert result.stderr == ""


def test_json_has_what_the_table_has() -> None:
    document = said("n.resnet", "--network", "halved", "--samples", "4", "--precision", "fp64", "--seed", "3")
    assert (document["network"], document["seed"], document["precision"]) == ("halved", 3, "fp64")
    units = document["units"]
    assert [unit["shortcut"]["mean"] for unit in units[1:3]] == pytest.approx([0.5, 0.5])
    assert units[1]["log10_direct"] - units[2]["log10_direct"] == pytest.approx(np.log10(0.5))
    assert sum(document["lengths"]["measured"]) == pytest.approx(1, abs=1e-12)  # what was left out is no part of it
    assert 0 <= document["lengths"]["rest"] < 1e-6
    assert document["remarks"] == []
    assert said("n.resnet", "--network", "halved", "--samples", "2", "--no-lengths")["lengths"] is None


def test_parameters() -> None:
    document = said("n.resnet", "--network", "clean", "-p", "shortcut=none", "-p", "n=1", "--samples", "2")
    assert len(document["units"]) == 2
    assert all(unit["log10_direct"] is None and unit["closed_form"] for unit in document["units"])


def test_inputs_from_a_file() -> None:
    array = np.random.default_rng(7).standard_normal((5, 3, 8, 8)).astype(np.float32)
    np.save("x.npy", array)
    np.save("doubled.npy", 2 * array)
    once = said("n.resnet", "--network", "clean", "--input", "x.npy")
    assert once["samples"] == 5
    assert said("n.resnet", "--network", "clean", "--input", "x.npy", "--samples", "2")["samples"] == 2
    twice = said("n.resnet", "--network", "clean", "--input", "doubled.npy")
    ratio = twice["units"][0]["stream"]["variance"] / once["units"][0]["stream"]["variance"]
    assert ratio == pytest.approx(4, rel=1e-4)  # the stem is linear


def test_files(folder: Path) -> None:
    result = analyze("n.resnet", "--network", "halved", "--samples", "2", "-o", "a/pictures", "--report", "page.html")
    assert result.exit_code == 0, result.stderr
    names = ("signal", "ratio", "gradient", "cosine", "lengths")
    assert {path.name for path in (folder / "a" / "pictures").iterdir()} == {
        f"{name}.{end}" for name in names for end in ("png", "svg")
    }
    page = (folder / "page.html").read_text("utf-8")
    assert "<title>halved before training</title>" in page
    assert "shortcut-scale" in page
    assert "a/pictures: signal, ratio" in result.stderr


@pytest.mark.slow
def test_networks_of_one_spec_side_by_side(folder: Path) -> None:
    arguments = (
        "--compare",
        "n.resnet",
        "--network",
        "clean",
        "--network",
        "halved",
        "--network",
        "plain",
        "--samples",
        "2",
    )
    document = said(*arguments)
    ends = {each["name"]: each["ends"] for each in document["networks"]}
    assert list(ends) == ["clean", "halved", "plain"]
    assert ends["plain"]["log10_direct"] is None
    assert ends["plain"]["mean_length"] == pytest.approx(6)
    assert ends["halved"]["log10_direct"] < ends["clean"]["log10_direct"]
    assert ends["clean"]["mean_length"] < ends["halved"]["mean_length"] < 6
    result = analyze(*arguments, "-o", "pictures", "--report", "page.html")
    assert [line.split()[0] for line in result.stdout.splitlines()[2:6]] == ["network", "clean", "halved", "plain"]
    assert (folder / "pictures" / "comparison.svg").is_file()
    assert (folder / "page.html").read_text("utf-8").count('<svg class="unit"') == 3


def test_specs_side_by_side() -> None:
    document = said("--compare", "n.resnet:plain", "squared.resnet", "n.resnet:clean", "--samples", "2", "--no-lengths")
    assert [each["name"] for each in document["networks"]] == ["plain", "squared.resnet", "clean"]
    assert [len(each["signal"]["units"]) for each in document["networks"]] == [6, 2, 6]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "count"), [("plain", ["resnet", "plain"], 2), ("table2", ["resnet", "bn_after_add"], 5)]
)
def test_sets(name: str, first: list[str], count: int) -> None:
    document = said("--compare", name, "--depth", "8", "--samples", "1", "--no-lengths")
    assert [each["name"] for each in document["networks"]][:2] == first
    assert len(document["networks"]) == count


def test_a_network_by_its_spec() -> None:
    arguments = ("--samples", "1", "--no-lengths")
    assert said("n.resnet:halved", *arguments) == said("n.resnet", "--network", "halved", *arguments)


def test_errors_of_the_paper_are_of_its_own_depth() -> None:
    document = said("--compare", "plain", "--depth", "8", "--samples", "1", "--no-lengths")
    assert [each["paper_error"] for each in document["networks"]] == [None, None]


@pytest.mark.parametrize("missing", ["nosuch.resnet", "n.resnet:nosuch"])
def test_all_specs_are_built_before_one_is_measured(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured before all were built")

    monkeypatch.setattr("resdsl.analysis.signal", measured)
    assert "nosuch" in analyze("--compare", "n.resnet:clean", missing).stderr


@pytest.mark.parametrize("specs", [("table1",), ("n.resnet:clean", "squared.resnet")])
def test_without_torch(specs: tuple[str, ...]) -> None:
    """In a process of its own, for this one has loaded it."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from resdsl.cli import main; main(['analyze', '--compare', *sys.argv[1:]])"
    )
    ended = subprocess.run([sys.executable, "-c", program, *specs], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "error[missing-library]: signals are measured with PyTorch" in ended.stderr
    assert "pip install 'resdsl[torch]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_curvature() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((30, 4))
    np.savez("data.npz", inputs=inputs, targets=inputs @ rng.standard_normal((4, 4)))
    document = said("squared.resnet", "--curvature", "--data", "data.npz")
    assert (document["parameters"], document["samples"], document["method"]) == (64, 30, "exact")
    assert len(document["eigenvalues"]) == 64
    assert document["prediction"]["n"] == 2
    table = analyze("squared.resnet", "--curvature", "--data", "data.npz").stdout
    assert table.startswith("squared: 64 parameters")
    assert "largest / 10th percentile" in table


def test_pictures_and_page_of_a_curvature(folder: Path) -> None:
    inputs = np.random.default_rng(0).standard_normal((30, 4))
    np.savez("data.npz", inputs=inputs, targets=-inputs)
    result = analyze("squared.resnet", "--curvature", "--data", "data.npz", "-o", "pictures", "--report", "page.html")
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in (folder / "pictures").iterdir()} == {"spectrum.png", "spectrum.svg"}
    assert (folder / "pictures" / "spectrum.png").read_bytes().startswith(b"\x89PNG")
    assert "by Theorem 2" in (folder / "pictures" / "spectrum.svg").read_text()
    assert "Curvature of squared" in (folder / "page.html").read_text()
    assert result.stdout.startswith("squared: 64 parameters")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("n.resnet",), 2, "declares 4 networks"),
        (("n.resnet", "--network", "clen"), 2, "did you mean `clean`?"),
        (("n.resnet", "--network", "flat"), 1, "error[no-units]: flat has no units"),
        (("n.resnet", "--network", "clean", "--network", "plain"), 2, "--compare shows several"),
        (("n.resnet", "squared.resnet"), 2, "--compare shows several"),
        (("--compare", "n.resnet:clean"), 2, "two networks or more\n"),
        (("--compare", "tabel1"), 2, "two networks or more; did you mean `table1`?"),
        (("table1",), 2, "resdsl analyze --compare table1\n"),
        (("--compare", "table1", "n.resnet:clean"), 2, "table1 is a set of networks; alone"),
        (("--compare", "n.resnet:clean", "n.resnet:plain", "./n.resnet:clean"), 2, "n.resnet:clean and ./n.resnet:clean are one network"),
        (("--compare", "squared.resnet", "squared.resnet:squared"), 2, "are one network: --compare takes each network once"),
        (("--compare", "n.resnet", "--network", "clean", "--network", "clean"), 2, "n.resnet:clean is given twice"),
        (("--compare", "squared.resnet", "squared.resnet"), 2, "squared.resnet is given twice"),
        (("n.resnet:clen",), 2, "did you mean `clean`?"),
        (("n.resnet:clean", "--network", "plain"), 2, "n.resnet:clean names a network already"),
        (("--compare", "n.resnet:clean", "squared.resnet", "--network", "plain"), 2, "write SPEC:NETWORK"),
        (("--compare", "n.resnet:clean", "n.resnet:flat"), 1, "of flat"),
        (("--compare", "table1", "--depth", "9"), 2, "`--depth 8`"),
        (("--compare", "table1", "-p", "n=2"), 2, "table1 says which networks these are"),
        (("n.resnet", "--network", "clean", "--depth", "8"), 2, "--depth is for --compare"),
        (("n.resnet", "--network", "clean", "--input", "none.npy"), 1, "none.npy"),
        (("n.resnet", "--network", "clean", "--input", "wrong.npy"), 1, "reads n x 3 x 8 x 8"),
        (("n.resnet", "--network", "clean", "--input", "nan.npy"), 1, "NaN"),
        (("n.resnet", "--network", "clean", "--mean", "0"), 2, "--mean is for images"),
        (("n.resnet", "--network", "clean", "--weights", "none.safetensors"), 1, "none.safetensors"),
        (("n.resnet", "--network", "clean", "--report", "none/page.html"), 1, "there is no folder none"),
        (("n.resnet", "--network", "clean", "-o", "n.resnet"), 2, "is a file"),
        (("n.resnet", "--network", "clean", "-o", "n.resnet/x"), 1, "n.resnet/x cannot be made: n.resnet is no folder"),
        (("n.resnet", "--network", "flat", "-o", "new/folder", "--report", "page.html"), 1, "no-units"),
        (("squared.resnet", "--data", "digits"), 2, "this is for --curvature"),
        (("squared.resnet", "--curvature", "--samples", "3"), 2, "this is about signals"),
        (("squared.resnet", "--curvature", "--data", "mnist"), 2, "there are no data 'mnist'"),
        (("squared.resnet", "--curvature", "--data", "one.npy"), 1, "one.npy holds one array, and it has no name"),
        (("squared.resnet", "--curvature", "--data", "one.npz"), 1, "one.npz holds no array called targets"),
        (("-", "--compare", "-"), 2, "standard input is one spec"),
    ],
)  # fmt: skip
def test_mistakes(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    np.save("wrong.npy", np.zeros((2, 3, 7, 8), np.float32))
    np.save("nan.npy", np.full((2, 3, 8, 8), np.nan, np.float32))
    np.save("one.npy", np.zeros((3, 4)))
    np.savez("one.npz", inputs=np.zeros((3, 4)))
    before = set(folder.rglob("*"))
    result = analyze(*arguments)
    assert result.exit_code == code, result.stderr
    assert words in result.stderr
    assert result.stdout == ""
    assert set(folder.rglob("*")) == before


def test_standard_input() -> None:
    result = CliRunner().invoke(main, ["analyze", "-", "--samples", "2", "--json"], input=SQUARED)
    assert json.loads(result.stdout)["network"] == "squared"


def test_standard_input_is_read_once_for_all_its_networks() -> None:
    arguments = ["analyze", "-", "--compare", "--network", "clean", "--network", "plain", "-p", "n=1", "--samples", "2"]
    result = CliRunner().invoke(main, [*arguments, "--json"], input=SPEC)
    assert result.exit_code == 0, result.stderr
    assert [each["name"] for each in json.loads(result.stdout)["networks"]] == ["clean", "plain"]


HIDDEN = """resnet 1
unit v { branch bn -> linear(4) shortcut identity }
network joined { input 4 stem concat(v, linear(4)) -> linear(4) stage 2 * v head linear(2, init = zero) }
network simple { input 3x8x8 stem conv(3x3, 4) -> avgpool stage 2 * v head linear(2) }
"""


def test_remarks_are_in_table_json_and_page(folder: Path) -> None:
    (folder / "hidden.resnet").write_text(HIDDEN)
    given = ("hidden.resnet", "--network", "joined", "--samples", "3", "--seed", str(2**64))
    document = said(*given)
    assert [remark.split()[0:3] for remark in document["remarks"]] == [
        ["A", "batch", "norm"], ["The", "head", "hands"], ["1", "unit", "inside"],
    ]  # fmt: skip
    table = analyze(*given, "--report", "page.html").stdout
    page = (folder / "page.html").read_text("utf-8")
    for remark in document["remarks"]:
        assert remark in table
        assert f"<p>{remark}</p>" in page


def test_networks_of_other_inputs_are_told_apart(folder: Path) -> None:
    (folder / "hidden.resnet").write_text(HIDDEN)
    result = analyze(
        "--compare", "hidden.resnet", "--network", "joined", "--network", "simple", "--report", "page.html"
    )
    about = "2 networks, weights initial, 256 samples of 4 (joined) and 8 samples of 3x8x8 (simple), seed 0, fp32"
    page = (folder / "page.html").read_text("utf-8")
    for shown in (result.stdout.splitlines()[0], page):
        assert about in shown
    assert "\nsimple: A batch norm sees 8 values" in result.stdout
    assert "<p>joined: The head hands back no gradient" in page
