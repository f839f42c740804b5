"""One run: trained, remembered, not repeated; interrupted and gone on with; diverged."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError, fail
from resdsl.train.data.normalisation import normalisation
from resdsl.train.reproduce import run as run_module
from resdsl.train.reproduce.outcome import Diverged, Measured, percent, remember, remembered
from resdsl.train.reproduce.plan import Trial
from resdsl.train.reproduce.run import Interrupted, outcome_of, train
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Logged
from resdsl.train.setup import setup
from tests.train.reproduce.given import how, small_plan


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return small_plan(tmp_path).trials[0]


def test_a_run_is_remembered(trial: Trial) -> None:
    assert outcome_of(trial, how()) is None
    outcome = train(trial, how())
    assert isinstance(outcome, Measured)
    assert outcome_of(trial, how()) == outcome == remembered(trial.run)
    tested = [event for event in log.history(trial.run) if isinstance(event, Evaluated)]
    assert (outcome.iteration, outcome.error, outcome.best) == (6, tested[-1].error, min(each.error for each in tested))
    assert json.loads((trial.run / "run.json").read_text("utf-8"))["network"] == "resnet110"


def test_a_run_whose_result_was_not_written_yet(trial: Trial) -> None:
    outcome = train(trial, how())
    (trial.run / "result.json").unlink()
    before = (trial.run / "log.jsonl").read_bytes()
    assert outcome_of(trial, how()) is None
    assert train(trial, how()) == outcome
    assert (trial.run / "log.jsonl").read_bytes() == before


def test_a_signal_saves_and_the_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    trial, other = (small_plan(tmp_path / name).trials[0] for name in ("one", "other"))

    def interrupt(event: object) -> None:
        if isinstance(event, Logged) and event.iteration == 4:
            signal.raise_signal(signal.SIGTERM)

    assert train(trial, how(), interrupt) == Interrupted(signal.SIGTERM)
    assert outcome_of(trial, how()) is None
    assert train(trial, how()) == train(other, how())
    weights = [(each.run / "last.safetensors").read_bytes() for each in (trial, other)]
    assert weights[0] == weights[1]


def test_the_normalisation_is_measured_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second on CIFAR, and a table is of 55 runs."""
    trials, given = small_plan(tmp_path, seeds=(0, 1)).trials, how()
    outcomes = [train(trial, given) for trial in trials]
    measured: list[object] = []
    for module in (run_module, sys.modules[setup.__module__]):
        monkeypatch.setattr(module, "normalisation", lambda *of: measured.append(of) or normalisation(*of))
    assert [outcome_of(trial, given) for trial in trials] == outcomes
    assert measured == [(given.data, given.recipe.normalise)]


def test_a_run_of_another_recipe_is_not_taken_for_this_one(trial: Trial) -> None:
    train(trial, how())
    other = replace(how(), recipe=replace(how().recipe, rate=0.05))
    for called in (outcome_of, train):
        with pytest.raises(SpecError) as caught:
            called(trial, other)
        assert caught.value.diagnostics[0].code == "other-run"


def test_a_run_of_another_seed_is_not_taken_for_this_one(trial: Trial) -> None:
    train(trial, how())
    with pytest.raises(SpecError, match="seed"):
        outcome_of(replace(trial, seed=1), how())


def test_what_diverged_is_remembered_with_its_reason(trial: Trial) -> None:
    hot = replace(how(), recipe=replace(how().recipe, rate=1e18, warmup=0))
    outcome = train(trial, hot)
    assert isinstance(outcome, Diverged)
    assert "not finite" in outcome.reason
    assert outcome_of(trial, hot) == outcome
    assert percent(outcome) == float("inf")


def test_other_errors_are_raised(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: object, **given: object) -> None:
        raise fail("unwritable", "no room")

    monkeypatch.setattr(run_module, "fit", failing)
    with pytest.raises(SpecError, match="no room"):
        train(trial, how())
    assert remembered(trial.run) is None


@pytest.mark.parametrize("outcome", [Measured(5, 0.25, 0.125), Diverged("why")])
def test_what_is_remembered_is_read_again(tmp_path: Path, outcome: Measured | Diverged) -> None:
    remember(tmp_path, outcome)
    assert remembered(tmp_path) == outcome


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"outcome": "other"}', '{"outcome": "measured", "error": 1}'])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"result\.json cannot be read"):
        remembered(tmp_path)


def test_percent() -> None:
    assert percent(Measured(1, 0.0661, 0.05)) == pytest.approx(6.61)
