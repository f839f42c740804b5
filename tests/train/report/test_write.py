"""The report in its folder: files, words, numbers."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.report.document import to_text
from resdsl.train.report.facts import facts
from resdsl.train.report.page import page
from resdsl.train.report.write import write_report
from resdsl.train.run.events import Evaluated, Logged
from tests.conftest import Golden
from tests.train.report.runs import TESTED, TRAINED, run_folder, score

FIGURES = {"curves.svg", "curves.png", "confusion.svg", "confusion.png"}
TEXTS = {"report.md", "report.json"}
DOCS = Path(__file__).parents[3] / "docs" / "report.md"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_files(tmp_path: Path, golden: Golden) -> None:
    run = run_folder(tmp_path / "run")
    report = write_report(run, score())
    assert report.missing is None
    assert names(run / "report") == {path.name for path in report.files} == TEXTS | FIGURES
    assert report.files[0] == run / "report" / "report.md"
    golden("train/report.md", report.files[0].read_text("utf-8"))
    golden("train/report.json", report.files[1].read_text("utf-8"))


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    first = [path.read_bytes() for path in write_report(run, score()).files]
    assert [path.read_bytes() for path in write_report(run, score()).files] == first


def test_numbers_of_the_document(tmp_path: Path) -> None:
    said = json.loads(to_text(facts(run_folder(tmp_path / "run"), score())))
    assert said["run"] == json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert said["confusion"] == score().confusion.tolist()
    confusion = said["confusion"]
    wrong = sum(map(sum, confusion)) - sum(row[label] for label, row in enumerate(confusion))
    assert said["final"]["error"] == pytest.approx(wrong / sum(map(sum, confusion)))
    assert said["best"] == {"iteration": 40, "loss": 1.0, "error": 0.0625}
    assert said["training"] == {"iteration": 60, "loss": 0.25, "error": 0.125}
    assert (said["seconds"], said["samples_per_second"], said["iteration"]) == (4.0, 1280.0, 60)


def test_the_documented_names_are_those_of_the_document(tmp_path: Path) -> None:
    said = json.loads(to_text(facts(run_folder(tmp_path / "run"), score())))
    rows = re.findall(r"^\| `([\w.]+)` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    found = list(said)
    for name in ("network", "training", "final", "best"):
        found[found.index(name) : found.index(name) + 1] = [f"{name}.{inner}" for inner in said[name]]
    assert rows == found


def test_a_run_without_evaluation(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", TRAINED)
    report = write_report(run, None)
    assert names(run / "report") == TEXTS | {"curves.svg", "curves.png"}
    said = json.loads(report.files[1].read_text("utf-8"))
    assert (said["final"], said["best"], said["confusion"]) == (None, None, None)
    assert "| test error | not evaluated |" in report.files[0].read_text("utf-8")
    assert "taken for" not in report.files[0].read_text("utf-8")


@pytest.mark.parametrize("events", [(), TRAINED[:1], TESTED[:1]])
def test_short_logs(tmp_path: Path, events: tuple[Logged | Evaluated, ...]) -> None:
    found = facts(run_folder(tmp_path / "run", events), score())
    assert json.loads(to_text(found))["iteration"] == (20 if events else 0)
    assert ("nothing was logged" in page(found, ())) == (not found.trained)


@pytest.mark.parametrize("classes", [100, 1000])
def test_many_classes_have_their_pairs_in_the_text(tmp_path: Path, classes: int) -> None:
    found = facts(run_folder(tmp_path / "run", classes=classes), score(classes, ((7, 90, 3),)))
    assert "| c7 | c90 | 3 | 10 |" in page(found, ())
    text = to_text(found)
    confusion = json.loads(text)["confusion"]
    assert (len(confusion), confusion[7][90]) == (classes, 3)
    assert len(text.splitlines()) < classes * 2 + 150


def test_nothing_wrong(tmp_path: Path) -> None:
    text = page(facts(run_folder(tmp_path / "run"), score(wrong=())), ())
    assert "Nothing: every sample is called what it is." in text
    assert "**0.00 %** after 60 iterations" in text


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    events = [Logged(20, 0, 0.1, math.nan, 0.9, 640.0), Evaluated(20, 0, math.inf, 0.9, True)]
    text = to_text(facts(run_folder(tmp_path / "run", events), replace(score(), loss=math.nan)))
    said = json.loads(text, parse_constant=pytest.fail)
    assert (said["training"]["loss"], said["best"]["loss"], said["final"]["loss"]) == (None, None, None)


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is written and says so; figures of an earlier report, of other weights perhaps, are gone."""
    run = run_folder(tmp_path / "run")
    write_report(run, score())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    report = write_report(run, score())
    assert report.missing is not None
    assert (report.missing.code, report.missing.help) == ("missing-library", "pip install 'resdsl[train]'")
    assert names(run / "report") == TEXTS
    text = report.files[0].read_text("utf-8")
    assert "pip install 'resdsl[train]'" in text
    assert ".svg" not in text


def test_a_broken_matplotlib_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("resdsl.train.report.write.curves", broken)
    with pytest.raises(ZeroDivisionError):
        write_report(run_folder(tmp_path / "run"), score())


def test_words_of_users_do_not_break_the_table(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    about = json.loads((run / "run.json").read_text("utf-8"))
    about["data"]["name"] = "a|b\n<c>.npz"
    about["data"]["classes"][3] = "x|y"
    (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
    text = page(facts(run, score()), ())
    for row in (line for line in text.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", row)) in (3, 5)
    assert "a\\|b\\n&lt;c>.npz" in text


def test_how_it_was_computed(tmp_path: Path) -> None:
    found = facts(run_folder(tmp_path / "run"), score())
    assert "| computed | compile none, precision fp32, channels last, 2 processes |" in page(found, ())
    for resumed, words in ((1, "resumed once"), (3, "resumed 3 times")):
        found.about["resumed"][:] = [{}] * resumed
        assert f"| started | 2026-01-02T03:04:05+00:00; {words} |" in page(found, ())


def test_an_environment_that_was_not_recorded(tmp_path: Path) -> None:
    found = facts(run_folder(tmp_path / "run"), score())
    del found.about["environment"], found.about["resumed"]
    assert "| with |" not in page(found, ())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    (run / "report").write_text("a file", encoding="utf-8")
    with pytest.raises(SpecError, match="report cannot be written"):
        write_report(run, score())
    assert (run / "report").read_text(encoding="utf-8") == "a file"
