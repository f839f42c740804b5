"""A run that was ended anywhere, in any way, goes on and becomes what it would have been."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resdsl.diagnostics import Severity, SpecError
from resdsl.train.compute.execution import Precision, Wanted
from resdsl.train.run import checkpoint, log
from resdsl.train.run.checkpoint import checkpoints
from resdsl.train.run.events import Evaluated, Event, Logged, Noticed, Saved, Started
from resdsl.train.run.folder import BEST, LAST, about
from resdsl.train.run.loop import Intervals
from tests.train.tries import INTERVALS, RECIPE, SPEC, attempt, data, left_by, shorter, stopped_after


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert attempt(run).finished
    return run


def test_the_same_setup_gives_the_same_run(whole: Path, tmp_path: Path) -> None:
    attempt(tmp_path / "run")
    assert left_by(tmp_path / "run") == left_by(whole)


@pytest.mark.parametrize("steps", range(1, RECIPE.length))
def test_stopped_after_any_step_it_becomes_the_same(whole: Path, tmp_path: Path, steps: int) -> None:
    run = tmp_path / "run"
    with stopped_after(steps):
        first = attempt(run)
    assert (first.finished, first.iteration, first.score) == (False, steps, None)
    assert checkpoints(run)[-1].stem == f"{steps:08d}"
    last = attempt(run, resume=True)
    assert last.finished
    assert last.score is not None
    assert left_by(run)["log"] == left_by(whole)["log"]
    for name in (LAST, BEST):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    ours, theirs = left_by(run)["tensors"], left_by(whole)["tensors"]
    common = set(ours) & set(theirs)
    assert {key: ours[key] for key in common} == {key: theirs[key] for key in common}
    assert checkpoints(run)[-1].name == checkpoints(whole)[-1].name


def test_stopped_after_every_step_it_becomes_the_same(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(1):
        results = [attempt(run, resume=True) for _ in range(RECIPE.length)]
    assert [result.finished for result in results] == [False] * (RECIPE.length - 1) + [True]
    assert left_by(run)["log"] == left_by(whole)["log"]
    assert (run / LAST).read_bytes() == (whole / LAST).read_bytes()
    assert (run / BEST).read_bytes() == (whole / BEST).read_bytes()


@pytest.mark.parametrize(
    "wanted", [Wanted(accumulate=2), Wanted(recompute=True), Wanted(precision=Precision.FP64)], ids=str
)
def test_however_it_is_computed(tmp_path: Path, wanted: Wanted) -> None:
    attempt(tmp_path / "whole", wanted=wanted)
    with stopped_after(8):
        attempt(tmp_path / "run", wanted=wanted)
    attempt(tmp_path / "run", wanted=wanted, resume=True)
    assert left_by(tmp_path / "run")["log"] == left_by(tmp_path / "whole")["log"]
    assert (tmp_path / "run" / LAST).read_bytes() == (tmp_path / "whole" / LAST).read_bytes()


MOMENTS = 18
"""Files that the run puts in their places, removes, and writes lines of."""


class Killed(BaseException):
    """What ends a run without letting it do anything more."""


@pytest.mark.parametrize("at", range(MOMENTS + 1))
def test_killed_between_any_two_files_it_becomes_the_same(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Before a file is put in its place, a line is logged or a checkpoint is removed; and halfway through a line."""
    run, left = tmp_path / "run", [at]

    def counted(do, half=None):
        def instead(*args, **options):
            left[0] -= 1
            if left[0] >= 0:
                return do(*args, **options)
            if half is not None and left[0] == -1:
                half(*args)
            raise Killed  # again and again: who is killed tidies nothing up

        return instead

    def half_a_line(run: Path, event: Event) -> None:
        append(run, event)
        text = (run / log.NAME).read_bytes()
        (run / log.NAME).write_bytes(text[: -len(text.splitlines()[-1]) // 2])

    append = log.append
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(log, "append", counted(append, half_a_line if at % 2 else None))
        with contextlib.suppress(Killed):
            attempt(run)
    assert (left[0] >= 0) == (at == MOMENTS)
    assert attempt(run, resume=True).finished
    assert left_by(run) == left_by(whole)
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


KILLS = """
import os, random, signal, sys, time
from pathlib import Path

import resdsl.train.run.checkpoint
import resdsl.train.run.log as log
from tests.train.tries import attempt

def slowed(do):
    def instead(*args):
        time.sleep(0.01)
        result = do(*args)
        time.sleep(0.01)
        return result
    return instead

os.replace, os.fsync, log.append = map(slowed, (os.replace, os.fsync, log.append))
run, draw, kills = Path(sys.argv[1]), random.Random(int(sys.argv[2])), 0
while True:
    child = os.fork()
    if not child:
        attempt(run, resume=True)
        os._exit(0)
    time.sleep(draw.uniform(0.01, 0.3 + 0.1 * kills))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        break
    kills += 1
print(kills, os.waitstatus_to_exitcode(status))
"""
"""Kills a run at random times until it ends before; slower where it writes, so that kills meet it there too."""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("seed", range(3))
def test_killed_by_the_system_at_any_time_it_becomes_the_same(whole: Path, tmp_path: Path, seed: int) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", KILLS, str(run), str(seed)]
    root = Path(__file__).parents[3]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    kills, status = map(int, ended.stdout.split())
    assert status == 0, ended.stderr
    assert kills > 2
    assert left_by(run) == left_by(whole)


def test_an_evaluation_that_was_left_is_made_later(whole: Path, tmp_path: Path) -> None:
    """SIGTERM during an evaluation ends the run there."""
    run = tmp_path / "run"

    def listener(event: Event) -> None:
        if isinstance(event, Logged) and event.iteration == RECIPE.length:
            signal.raise_signal(signal.SIGTERM)

    result = attempt(run, listener=listener)
    assert (result.finished, result.iteration, result.signal) == (False, RECIPE.length, signal.SIGTERM)
    assert checkpoint.read(checkpoints(run)[-1]).is_due
    assert not (run / LAST).exists()
    assert attempt(run, resume=True).finished
    assert left_by(run) == left_by(whole)


def test_an_evaluation_that_is_due_is_logged_once(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended during it, and killed after it was made, before it was saved."""
    run = tmp_path / "run"

    def listener(event: Event) -> None:
        if isinstance(event, Logged) and event.iteration == RECIPE.length:
            signal.raise_signal(signal.SIGTERM)

    attempt(run, listener=listener)

    def killed(event: Event) -> None:
        if isinstance(event, Evaluated):
            raise Killed

    with pytest.raises(Killed):
        attempt(run, resume=True, listener=killed)
    attempt(run, resume=True)
    assert left_by(run) == left_by(whole)


def test_a_run_that_has_ended_stays_as_it_is(tmp_path: Path) -> None:
    run, events = tmp_path / "run", []
    first = attempt(run)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    again = attempt(run, resume=True, listener=events.append)
    now = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.rglob("*") if path.is_file()}
    assert {path.name for path in before if before[path] != now[path]} <= {".lock"}
    assert set(before) == set(now)
    assert again.finished
    assert again.score is not None
    assert first.score is not None
    assert again.score.loss == first.score.loss
    assert (again.best, again.history, again.seconds) == (first.best, first.history, first.seconds)
    assert [type(event) for event in events] == [Started]


def test_a_longer_run_is_as_if_it_had_been_longer_from_the_start(tmp_path: Path) -> None:
    """Where the end of the shorter one is an end of intervals."""
    events: list[Event] = []
    even = Intervals(5, 5)
    attempt(tmp_path / "whole", recipe=shorter(15), intervals=even)
    attempt(tmp_path / "run", recipe=shorter(10), intervals=even)
    result = attempt(tmp_path / "run", recipe=shorter(15), intervals=even, resume=True, listener=events.append)
    assert left_by(tmp_path / "run") == left_by(tmp_path / "whole")
    (notice,) = result.notices
    assert (notice.code, notice.severity, notice.notes) == ("run-extended", Severity.WARNING, ("length: 10 → 15",))
    assert [event.diagnostic for event in events if isinstance(event, Noticed)] == [notice]
    assert about(tmp_path / "run")["recipe"]["length"] == 15
    with pytest.raises(SpecError, match="has done 15 steps, more than the 12 asked for"):
        attempt(tmp_path / "run", recipe=shorter(12), resume=True)


@pytest.mark.parametrize(
    "how", ["truncated", "empty", "flipped", "foreign", "of another network", "lacks a tensor", "nan"]
)
def test_a_newest_checkpoint_that_is_none_is_said_and_passed_over(whole: Path, tmp_path: Path, how: str) -> None:
    run, told = tmp_path / "run", []
    with stopped_after(11):
        attempt(run)
    spoil(checkpoints(run)[-1], how)
    last = checkpoints(run)[-1]
    spoilt = last.read_bytes()
    result = attempt(run, resume=True, listener=told.append)
    (notice,) = result.notices
    assert str(last) in notice.message
    assert "goes on from 00000010.safetensors" in notice.message
    assert [event.diagnostic for event in told if isinstance(event, Noticed)] == [notice]
    assert last.with_name("00000011.safetensors.unreadable").read_bytes() == spoilt
    last.with_name("00000011.safetensors.unreadable").unlink()
    assert left_by(run) == left_by(whole)


def test_with_no_checkpoint_that_can_be_read_nothing_is_done(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(11):
        attempt(run)
    for path in checkpoints(run):
        spoil(path, "truncated")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.raises(SpecError) as caught:
        attempt(run, resume=True)
    said = str(caught.value)
    assert "none of the checkpoints" in said
    assert all(str(path) in said for path in checkpoints(run))
    assert before == {path: path.read_bytes() for path in before}


def test_with_its_checkpoints_gone_a_run_begins_anew_and_says_so(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(11):
        attempt(run)
    for path in checkpoints(run):
        path.unlink()
    result = attempt(run, resume=True)
    assert [notice.code for notice in result.notices] == ["no-checkpoint"]
    assert "its log went to step 10" in result.notices[0].message
    assert left_by(run) == left_by(whole)


def test_another_execution_is_allowed_and_said(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(7):
        attempt(run)
    result = attempt(run, resume=True, wanted=Wanted(precision=Precision.FP64, accumulate=2))
    (notice,) = result.notices
    assert (notice.code, notice.notes) == ("execution-changed", ("precision: fp32 → fp64", "accumulate: 1 → 2"))
    said = about(run)
    assert said["execution"]["precision"] == "fp64"
    assert [(each["iteration"], each["execution"]["accumulate"]) for each in said["resumed"]] == [(7, 2)]
    assert result.finished


CHANGES = {
    "recipe": ({"recipe": replace(RECIPE, rate=0.05, steps=(9,))}, ["steps: 7, 10 → 9", "rate: 0.1 → 0.05"]),
    "seed": ({"seed": 6}, ["seed: 5 → 6"]),
    "data": ({"of": data(seed=1)}, ["data, sha256: "]),
    "network": (
        {"spec": SPEC.replace("dropout(0.2)", "dropout(0.5)").replace("shaky(6)", "shaky(8)")},
        ["stage1, shaky, branch 4, dropout, p: 0.2 → 0.5", "channels: 6 → 8"],
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_run_is_refused_with_the_difference(tmp_path: Path, what: str) -> None:
    run = tmp_path / "run"
    with stopped_after(6):
        attempt(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    options, lines = CHANGES[what]
    with pytest.raises(SpecError) as caught:
        attempt(run, resume=True, **options)
    assert caught.value.diagnostics[0].code == "other-run"
    for line in lines:
        assert line in str(caught.value)
    assert before == {path: path.read_bytes() for path in before}


def test_titles_of_recipes_and_comments_in_specs_change_nothing(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(6):
        attempt(run)
    said = json.loads((run / "run.json").read_text())
    del said["recipe"]["nesterov"], said["recipe"]["crop"]  # as a version before these fields had written it
    (run / "run.json").write_text(json.dumps(said | {"recipe": said["recipe"] | {"nesterov": True}}))
    spec = SPEC.replace("network small", '"""What it is for."""\nnetwork small')
    assert attempt(run, spec, replace(RECIPE, name="mine", source="mine"), resume=True).finished
    assert left_by(run)["log"] == left_by(whole)["log"]


def test_random_numbers_of_the_program_do_not_matter(whole: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    run = tmp_path / "run"
    with stopped_after(4):
        attempt(run, listener=lambda event: torch.rand(3))
    attempt(run, resume=True, listener=lambda event: torch.rand(3) if isinstance(event, Saved) else None)
    assert left_by(run)["log"] == left_by(whole)["log"]


def test_intervals_may_change(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(4):
        attempt(run)
    attempt(run, resume=True, intervals=replace(INTERVALS, log=1))
    assert (run / LAST).read_bytes() == (whole / LAST).read_bytes()


def spoil(path: Path, how: str) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    content = path.read_bytes()
    with safe_open(path, "pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    match how:
        case "truncated":
            path.write_bytes(content[: len(content) * 2 // 3])
        case "empty":
            path.write_bytes(b"")
        case "flipped":
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "foreign":
            save_file(tensors, path)
        case "of another network":
            other = path.parent.parent.parent / "other"
            with stopped_after(11):
                attempt(other, SPEC.replace("shaky(6)", "shaky(8)"))
            path.write_bytes(checkpoints(other)[-1].read_bytes())
        case "lacks a tensor":
            del tensors["momentum.head_linear.bias"]
            save_file(tensors, path, with_checksum(about, tensors))
        case "nan":
            tensors["weight.head_linear.bias"][0] = float("nan")
            save_file(tensors, path, with_checksum(about, tensors))


def with_checksum(metadata: dict[str, str], tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    said = json.loads(metadata[checkpoint.KEY])
    return {checkpoint.KEY: json.dumps(said | {"crc32": checkpoint._checksum(tensors)})}
