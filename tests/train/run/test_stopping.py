"""Signals end a run after the step, with a checkpoint; Ctrl-C after any of them ends it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resdsl.train.run.checkpoint import checkpoints
from resdsl.train.run.clock import Clock, Lap
from resdsl.train.run.events import Evaluated, Event, Logged, Started
from resdsl.train.run.stopping import stopping
from tests.train.tries import RECIPE, attempt, left_by

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Under nohup SIGHUP is ignored; it stays so."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_the_run_after_the_step(tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"

    def listener(event: Event) -> None:
        if isinstance(event, Logged) and event.iteration == 3:
            signal.raise_signal(number)

    result = attempt(run, listener=listener)
    assert (result.finished, result.iteration, result.signal) == (False, 3, number)
    assert [path.stem for path in checkpoints(run)] == ["00000003"]
    attempt(run, resume=True)
    attempt(tmp_path / "whole")
    assert left_by(run)["log"] == left_by(tmp_path / "whole")["log"]


def test_during_setup_no_step_is_done(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = attempt(run, listener=lambda e: signal.raise_signal(signal.SIGTERM) if isinstance(e, Started) else None)
    assert (result.finished, result.iteration, result.signal) == (False, 0, signal.SIGTERM)
    assert not checkpoints(run)
    assert attempt(run, resume=True).finished


def test_after_the_last_evaluation_the_run_has_ended(tmp_path: Path) -> None:
    def listener(event: Event) -> None:
        if isinstance(event, Evaluated) and event.iteration == RECIPE.length:
            signal.raise_signal(signal.SIGTERM)

    assert attempt(tmp_path / "run", listener=listener).finished


@pytest.mark.parametrize("first", STOPPING)
def test_ctrl_c_after_any_ends_at_once_and_others_do_not(first: signal.Signals) -> None:
    with stopping() as stops:
        assert not stops()
        signal.raise_signal(first)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.raise_signal(number)
        assert stops()
        assert stops.signal == first
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_stays_ignored_and_all_is_as_it_was() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = [signal.getsignal(number) for number in STOPPING]
    with stopping() as stops:
        signal.raise_signal(signal.SIGHUP)
        assert not stops()
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in STOPPING] == before


def test_outside_of_the_main_thread_nothing_stops(tmp_path: Path) -> None:
    finished: list[bool] = []
    thread = threading.Thread(target=lambda: finished.append(attempt(tmp_path / "run").finished))
    thread.start()
    thread.join()
    assert finished == [True]


@pytest.mark.slow
def test_two_signals_from_outside(tmp_path: Path) -> None:
    """SIGTERM to a process that trains: it ends by itself, soon, and the checkpoint stands."""
    code = f"""
from dataclasses import replace
from pathlib import Path
from resdsl.train.run.events import Logged
from tests.train.tries import RECIPE, attempt
run = Path({str(tmp_path / "run")!r})
told = lambda event: print("line", flush=True) if isinstance(event, Logged) else None
result = attempt(run, recipe=replace(RECIPE, length=10**6), listener=told)
raise SystemExit(128 + result.signal)
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"line\n"
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(60) in (
            128 + signal.SIGUSR1,
            128 + signal.SIGTERM,
        )  # of two at once, either is handled first
    assert checkpoints(tmp_path / "run")


def test_the_clock_runs_in_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock, finished = Clock(seconds=7.0, lap=Lap(2.0, 4)), []

    def passes(seconds: float) -> None:
        now[0] += seconds

    clock.go()
    passes(100)  # the first step compiles
    clock.step(lambda: finished.append(1))
    for _ in range(4):
        passes(0.5)
        clock.step(lambda: finished.append(1))
    with clock.aside(lambda: None):
        passes(1000)  # an evaluation
        assert clock.lap == Lap(4.0, 8)
        assert clock.speed(batch=64) == 64 * 8 / 4
        clock.restart()
    passes(0.25)
    clock.step(lambda: finished.append(1))
    clock.pause()
    assert clock.lap == Lap(0.25, 1)
    assert clock.seconds == 7 + 100 + 2 + 0.25
    assert finished == [1]


def test_a_lap_of_a_first_step_alone_has_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock()
    clock.go()
    now[0] = 4.0
    clock.step(lambda: None)
    clock.pause()
    assert clock.speed(batch=64) == 16
