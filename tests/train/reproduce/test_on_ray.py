"""Runs as tasks of Ray, with a stand-in for it: that Ray itself does the same is not tested here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.compute.execution import Wanted
from resdsl.train.data.open import open_data
from resdsl.train.reproduce.on_ray import Task, ray_outcomes
from resdsl.train.reproduce.outcome import Measured, remembered
from resdsl.train.reproduce.plan import Plan
from resdsl.train.reproduce.run import How, train
from tests.train.reproduce.given import RECIPE, small_plan, write_npz
from tests.train.reproduce.stand_in_ray import StandIn


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_npz(tmp_path / "given.npz")


def tasks(given: Plan, file: str) -> list[Task]:
    return [Task(trial, RECIPE, file, None, Wanted(), "cpu") for trial in given.trials]


def test_each_run_is_a_task(tmp_path: Path, ray: StandIn, file: Path) -> None:
    given, here = small_plan(tmp_path / "ray", seeds=(0, 1)), small_plan(tmp_path / "here", seeds=(0, 1))
    found = list(ray_outcomes(tasks(given, str(file)), 0.5))
    assert ray.started == 1
    assert [options for _, options in ray.submitted] == [{"num_gpus": 0.5}] * 4
    assert [trial for trial, _ in found] == list(reversed(given.trials))
    assert all(remembered(trial.run) == outcome for trial, outcome in found)
    how = How(RECIPE, open_data(str(file)), device="cpu")
    assert dict(found)[given.trials[0]] == train(here.trials[0], how)


def test_a_ray_that_runs_already_is_used(tmp_path: Path, ray: StandIn, file: Path) -> None:
    ray.init()
    ((_, outcome),) = ray_outcomes(tasks(small_plan(tmp_path, only=("resnet110",)), str(file)), 0)
    assert isinstance(outcome, Measured)
    assert ray.started == 1


def test_a_mistake_comes_back_as_it_was(tmp_path: Path, ray: StandIn) -> None:
    with pytest.raises(SpecError) as caught:
        list(ray_outcomes(tasks(small_plan(tmp_path), "missing.npz"), 0))
    assert "missing.npz" in caught.value.diagnostics[0].message


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        list(ray_outcomes(tasks(small_plan(tmp_path), "x.npz"), 0))
    assert caught.value.diagnostics[0].code == "missing-library"
