"""What is read from a run's folder, on logs whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.report.confusion import Confused, most_confused
from resdsl.train.report.facts import Final, facts
from resdsl.train.run.events import Evaluated, Logged
from tests.train.report.runs import BATCH, TESTED, TRAINED, run_folder, score


def test_a_run(tmp_path: Path) -> None:
    found = facts(run_folder(tmp_path / "run"), score())
    assert (found.trained, found.tested) == (TRAINED, TESTED)
    assert found.iteration == 60
    assert found.final == Final(60, 0.5, pytest.approx(8 / 100))
    assert found.best == TESTED[1]
    assert found.seconds == 20 * BATCH / 640 + 40 * BATCH / 1280
    assert found.samples_per_second == 1280
    assert found.network.costs.parameters == 9 * 4 + 2 * 4 + 4 * 10 + 10


def test_a_run_without_a_score_has_its_last_evaluation(tmp_path: Path) -> None:
    assert facts(run_folder(tmp_path / "run"), None).final == Final(60, 0.5, 0.09375)


def test_the_first_of_equals_is_best(tmp_path: Path) -> None:
    events = [Evaluated(each, 0, 1.0, 0.25, each == 1) for each in (1, 2)]
    found = facts(run_folder(tmp_path / "run", events), None)
    assert found.best == events[0]


def test_a_run_that_logged_nothing(tmp_path: Path) -> None:
    found = facts(run_folder(tmp_path / "run", ()), None)
    assert (found.iteration, found.final, found.best, found.seconds, found.samples_per_second) == (
        0,
        None,
        None,
        0,
        None,
    )


def test_an_even_number_of_lines(tmp_path: Path) -> None:
    events = [Logged(each, 0, 0.1, 1.0, 0.5, float(each)) for each in (1, 4)]
    assert facts(run_folder(tmp_path / "run", events), None).samples_per_second == 2.5


def test_pairs_come_by_count_then_by_label() -> None:
    confusion = score().confusion
    expected = [Confused(3, 9, 4, 10), Confused(0, 1, 2, 10), Confused(9, 3, 2, 10)]
    assert most_confused(confusion) == expected
    assert most_confused(confusion, 1) == expected[:1]
    assert most_confused(score(wrong=()).confusion) == []
    assert confusion[5, 5] == 10  # the matrix is left alone


def test_pairs_of_a_thousand_classes() -> None:
    wrong = [(label, (label + 1) % 1000, 1 + label % 7) for label in range(1000)]
    found = most_confused(score(1000, wrong).confusion)
    assert [(pair.actual, pair.called, pair.times) for pair in found] == [(6 + 7 * k, 7 + 7 * k, 7) for k in range(10)]


def test_a_score_of_other_classes(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a score over 3 classes"):
        facts(run_folder(tmp_path / "run"), score(3, ()))


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no run"):
        facts(tmp_path, None)
