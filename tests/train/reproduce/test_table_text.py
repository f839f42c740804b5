"""The measured table beside the paper's."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resdsl.figures import as_svg, drawing
from resdsl.train.recipe import CIFAR, CIFAR_TORCH, DIGITS
from resdsl.train.reproduce.curves import table_curves
from resdsl.train.reproduce.measured import Line, Measurement, measurement
from resdsl.train.reproduce.outcome import Diverged, Measured, Outcome
from resdsl.train.reproduce.plan import plan
from resdsl.train.reproduce.table_text import ALMOST, OTHERWISE, SAME, cells, document, markdown, plain, remarks
from resdsl.train.reproduce.tables import TABLE1, TABLE2, TABLE3
from resdsl.train.reproduce.write import write_table
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Logged
from tests.conftest import Golden
from tests.train.reproduce.given import RECIPE, as_if_trained, small_plan

SEEDS = (0, 1, 2)


def measured(folder: Path, **outcomes: list[Outcome | None]) -> Measurement:
    """outcomes: by variant, for each seed."""
    given = small_plan(folder, seeds=SEEDS, only=tuple(outcomes))
    done = {(name, seed): each for name, all in outcomes.items() for seed, each in enumerate(all) if each is not None}
    return measurement(given, "given", RECIPE, as_if_trained(given, done))


def at(error: float) -> Measured:
    return Measured(6, error / 100, error / 200)


@pytest.fixture
def some(tmp_path: Path) -> Measurement:
    return measured(
        tmp_path,
        resnet110=[at(6), at(8), at(7)],
        plain110=[at(30), at(10), Diverged("the loss is not finite")],
        scale_half=[None, at(12.5), None],
        scale_half_frozen=[None, None, None],
        dropout_shortcut=[Diverged("x"), Diverged("x"), at(9)],
    )


def test_texts(some: Measurement, golden: Golden) -> None:
    golden("train/table.txt", plain(some))
    golden("train/table.md", markdown(some, "table1.svg"))
    golden("train/table.json", document(some))


def test_medians() -> None:
    row = small_plan(Path()).rows[0]
    for errors, median in (([6, 8, 7], 7), ([6, 8], 7), ([6], 6), ([], None)):
        outcomes: dict[int, Outcome | None] = {seed: at(error) for seed, error in enumerate(errors)}
        assert Line(row, outcomes).median == (None if median is None else pytest.approx(median))


def test_what_diverged_is_worse_than_any_error(some: Measurement) -> None:
    medians = {line.row.variant.name: line.median for line in some.lines}
    assert medians["plain110"] == pytest.approx(30)  # of 10, 30 and what diverged
    assert medians["dropout_shortcut"] == float("inf")


@pytest.mark.parametrize(("error", "words"), [(19.99, "19.99"), (20.0, "20.00"), (20.01, "fail (20.01)"), (90, "fail (90.00)")])  # fmt: skip
def test_the_paper_fails_above_twenty(tmp_path: Path, error: float, words: str) -> None:
    assert cells(measured(tmp_path, resnet110=[at(error)] * 3))[0][3] == words


def test_nothing_fails_on_cifar100_but_what_diverged(tmp_path: Path) -> None:
    """The paper's own errors there are between 22 and 28 %."""
    given = plan(TABLE3, "cifar100", tmp_path, seeds=(0,))
    outcomes = {("resnet164_cifar100", 0): at(25.16), ("preact164_cifar100", 0): Diverged("x")}
    found = measurement(given, "cifar100", CIFAR, as_if_trained(given, outcomes))
    assert [row[2:] for row in cells(found)][:2] == [("25.16", "25.16"), ("24.33", "fail (diverged)")]
    assert [row["failed"] for row in json.loads(document(found))["rows"]] == [False, True, None, None]
    assert "fail is above" not in plain(found)


def test_numbers_of_the_document(some: Measurement) -> None:
    said = json.loads(document(some), parse_constant=pytest.fail)
    rows = {row["variant"]: row for row in said["rows"]}
    assert rows["resnet110"]["paper"] == {"error": 6.61, "layers": 110, "data": "cifar10"}
    assert rows["plain110"]["paper"]["error"] == "fail"
    assert (rows["resnet110"]["median"], rows["resnet110"]["failed"]) == (pytest.approx(7), False)
    assert (rows["dropout_shortcut"]["median"], rows["dropout_shortcut"]["failed"]) == ("diverged", True)
    assert (rows["scale_half_frozen"]["median"], rows["scale_half_frozen"]["failed"]) == (None, None)
    assert [run["state"] for run in rows["scale_half"]["runs"]] == ["missing", "measured", "missing"]
    assert said["missing"] == 5


def test_the_papers_setting(tmp_path: Path) -> None:
    """Nothing differs, norms of halves of a batch included: that is said, and nothing else."""
    given = plan(TABLE2, "cifar10", tmp_path, seeds=range(5))
    found = measurement(given, "cifar10", CIFAR, as_if_trained(given, {("resnet110", 0): at(6)}))
    assert found.differences == ()
    assert remarks(replace(found, lines=())) == ["The figures here are medians of the seeds.", SAME]


def test_norms_of_several_sizes_are_said_together(tmp_path: Path) -> None:
    given = plan(TABLE2, "cifar10", tmp_path, seeds=range(5))
    halves = as_if_trained(given, {("resnet110", 0): at(6)})
    whole = as_if_trained(given, {("resnet110", 1): at(6)}, accumulate=1)
    assert measurement(given, "cifar10", CIFAR, halves | whole).differences == (norms("64 of 128 and 128 of 128"),)


def norms(saw: str) -> str:
    return f"Batch norms saw {saw} samples at a time, the paper's saw 64 of 128, on each of two GPUs."


def differing(tmp_path: Path, **given: object) -> tuple[str, ...]:
    kept = {"data": "cifar10", "recipe": CIFAR, "seeds": range(5), "layers": None, "computed": {}} | given
    made = plan(TABLE3, kept["data"], tmp_path, seeds=kept["seeds"], layers=kept["layers"])
    # Norms see 64 samples, unless `computed` has it otherwise.
    computed = {"accumulate": max(1, kept["recipe"].batch // 64)} | kept["computed"]
    trained = as_if_trained(made, {("resnet110", 0): at(6)}, **computed)
    found = measurement(made, kept["data"], kept["recipe"], trained)
    is_setting = bool({"data", "layers", "recipe"} & set(given)) and given.get("data") != "cifar100"
    assert remarks(found)[-1] == (OTHERWISE if is_setting else ALMOST if found.differences else SAME)
    return found.differences


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ()),
        ({"data": "cifar100"}, ()),
        ({"data": "digits"}, ("The data are digits, not CIFAR-10.",)),
        (
            {"layers": 20},
            (
                "The networks have 20 layers, not 110 and 164.",
                "At this depth resnet1001 and preact1001 would be networks that stand in the table already: they are left out.",
            ),
        ),
        ({"recipe": replace(CIFAR, length=640, steps=(320, 480), warmup=4)}, ("Training lasted 640 iterations, not 64,000 iterations.",)),
        (
            {"recipe": replace(CIFAR, warmup=0, nesterov=True)},
            ("The recipe is cifar with warmup 0 and nesterov true, 64,000 iterations of 128 samples, not the paper's 64,000 iterations of 128 samples.",),
        ),
        (
            {"recipe": CIFAR_TORCH},
            ("The recipe is cifar-torch, 200 epochs of 64 samples, not the paper's 64,000 iterations of 128 samples.",),
        ),
        (
            {"recipe": replace(DIGITS, name="mine")},
            ("The recipe is mine, 400 iterations of 64 samples, not the paper's 64,000 iterations of 128 samples.",),
        ),
        (
            {"recipe": DIGITS},
            ("The recipe is digits, 400 iterations of 64 samples, not the paper's 64,000 iterations of 128 samples.",),
        ),
        ({"seeds": (0,)}, ("One seed was trained, not 5.",)),
        ({"seeds": (0, 1)}, ("2 seeds were trained, not 5.",)),
        ({"computed": {"accumulate": 1}}, (norms("128 of 128"),)),
        ({"computed": {"accumulate": 4}}, (norms("32 of 128"),)),
        ({"computed": {"accumulate": 1, "processes": 2}}, ()),
        ({"computed": {"accumulate": 1, "processes": 2, "sync_norm": True}}, (norms("128 of 128"),)),
        ({"computed": {"accumulate": 2, "processes": 2}}, (norms("32 of 128"),)),
        ({"computed": {"precision": "bf16"}}, ("Activations and gradients were computed in bf16, not in fp32.",)),
    ],
)  # fmt: skip
def test_what_differs_from_the_paper_is_said(
    tmp_path: Path, given: dict[str, object], expected: tuple[str, ...]
) -> None:
    assert differing(tmp_path, **given) == expected


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    given = small_plan(tmp_path)
    found = measurement(given, "given", RECIPE, as_if_trained(given, {("resnet110", 0): at(6)}))
    assert [len(row) for row in cells(found)] == [4, 4]
    assert "least to most" not in plain(found)
    assert "1 of 2 runs are not at their end" in plain(found)


def logged(folder: Path) -> None:
    """A log for two rows of the table, the second with a seed that has none."""
    given = small_plan(folder, seeds=SEEDS)
    for trial in (given.trials[0], given.trials[3]):
        trial.run.mkdir(parents=True, exist_ok=True)
        for iteration in (1, 2):
            log.append(trial.run, Logged(iteration, 0, 0.1, 1.0 / iteration, 0.5, 1.0))
            log.append(trial.run, Evaluated(iteration, 0, 1.0, 0.25 / iteration, True))


def test_curves(tmp_path: Path) -> None:
    logged(tmp_path)
    with drawing():
        figure = table_curves(small_plan(tmp_path, seeds=SEEDS), "t")
        assert as_svg(figure) == as_svg(table_curves(small_plan(tmp_path, seeds=SEEDS), "t"))
    left, right = figure.axes
    assert [line.get_label() for line in right.get_lines()] == [variant.label for variant in TABLE1.variants[:2]][
        : len(right.get_lines())
    ]
    for loss, error in zip(left.get_lines(), right.get_lines(), strict=True):
        assert loss.get_color() == error.get_color()
        assert (loss.get_linestyle(), error.get_linestyle()) == ("--", "-")
        assert error.get_linewidth() > 2 * loss.get_linewidth()
        assert list(loss.get_ydata()) == [1.0, 0.5]
        assert list(error.get_ydata()) == [25.0, 12.5]


@pytest.mark.parametrize("table", [TABLE1, TABLE2, TABLE3], ids=lambda table: table.name)
def test_a_colour_for_each_row(tmp_path: Path, table: object) -> None:
    given = plan(table, "cifar10", tmp_path, seeds=(0,))
    for trial in given.trials:
        trial.run.mkdir(parents=True)
        log.append(trial.run, Evaluated(1, 0, 1.0, 0.25, True))
    with drawing():
        colours = [line.get_color() for line in table_curves(given, "t").axes[1].get_lines()]
    assert len(set(colours)) == len(given.rows)


def test_files(some: Measurement, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = some.plan.folder
    files, missing = write_table(some)
    assert missing is None
    assert {file.name for file in files} == {"table1.md", "table1.json", "table1.svg", "table1.png"}
    assert (folder / "table1.md").read_text("utf-8") == markdown(some, "table1.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files, missing = write_table(some)
    assert missing is not None
    assert missing.code == "missing-library"
    assert (
        {file.name for file in folder.glob("table1.*")} == {file.name for file in files} == {"table1.md", "table1.json"}
    )
    assert (folder / "table1.md").read_text("utf-8") == markdown(some, None)
