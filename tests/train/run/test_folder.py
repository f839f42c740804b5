"""A run's folder: what is recorded, who may write in it, and what is said when it cannot be written."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

import resdsl
from resdsl.bench.machine import machine
from resdsl.diagnostics import SpecError
from resdsl.train.run import checkpoint, folder, lock, log
from resdsl.train.run.checkpoint import checkpoints
from resdsl.train.run.events import Evaluated, Event, Logged, Started
from resdsl.train.run.fit import fit
from resdsl.train.run.folder import BEST, LAST, about
from resdsl.train.run.loop import Intervals
from tests.train.tries import RECIPE, SPEC, attempt, data, left_by, stopped_after


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert attempt(run).finished
    return run


def test_what_is_recorded(tmp_path: Path) -> None:
    result = fit(
        SPEC, RECIPE, data(), run=tmp_path / "run", device="cpu", parameters={"classes": "10"}, command=["train", "x"]
    )
    said = about(tmp_path / "run")
    made = said["environment"]
    assert (said["resdsl"], made["resdsl"], made["torch"]) == (
        resdsl.__version__,
        resdsl.__version__,
        torch.__version__,
    )
    assert made["command"] == ["train", "x"]
    assert (made["device"], made["cudnn"]) == ("cpu", "")
    assert made["machine"]["python"] == machine().python
    assert made["machine"]["cores"] == machine().cores
    assert made["started"].endswith("+00:00")
    assert said["origin"] == {"sha256": resdsl.spec.origin(SPEC).sha256, "parameters": {"classes": "10"}}
    assert "reasons" not in said["execution"]
    assert result.seconds > 0


def test_weights_are_those_that_other_commands_read(whole: Path) -> None:
    for name, state in ((LAST, checkpoint.read(checkpoints(whole)[-1])),):
        module = resdsl.load(SPEC, weights=whole / name)
        found = module.state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in state.weights.items())
    assert set(load_file(whole / BEST)) == set(load_file(whole / LAST))
    resdsl.load(SPEC, weights=whole / BEST)


def test_best_is_of_the_evaluation_with_the_least_error(tmp_path: Path) -> None:
    """Against all checkpoints, kept."""
    run = tmp_path / "run"
    result = attempt(run, intervals=Intervals(3, 2, keep=99))
    tested = [event for event in result.history if isinstance(event, Evaluated)]
    least = min(tested, key=lambda event: event.error)
    assert result.best is not None
    assert (result.best.iteration, result.best.error) == (least.iteration, least.error)
    kept = checkpoint.read(run / "checkpoints" / f"{least.iteration:08d}.safetensors").weights
    best = load_file(run / BEST)
    assert all((best[name] == tensor.numpy()).all() for name, tensor in kept.items())
    assert [int(path.stem) for path in checkpoints(run)] == [2, 4, 6, 8, 10, 12, 13]


def test_what_a_run_is_lies_on_the_disk_before_it_begins_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, synced, sync = tmp_path / "run", set[int](), os.fsync

    def fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        sync(handle)

    def require_settled(names: tuple[str, ...]) -> Callable[[Event], None]:
        def listener(event: Event) -> None:
            if isinstance(event, Started):
                assert synced >= {(run / name).stat().st_ino for name in (*names, ".")}

        return listener

    monkeypatch.setattr(os, "fsync", fsync)
    with stopped_after(6):
        attempt(run, listener=require_settled(("network.json", "normalisation.json", "run.json")))
    before = (run / "run.json").stat().st_ino
    synced.clear()
    attempt(run, resume=True, listener=require_settled(("run.json",)))
    assert (run / "run.json").stat().st_ino != before, "it is replaced"


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    attempt(tmp_path / "run", intervals=Intervals(3, 4, keep))
    assert [int(path.stem) for path in checkpoints(tmp_path / "run")] == [4, 8, 12, 13][-keep:]


def test_files_of_others_in_the_folder_of_checkpoints_stay(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with stopped_after(6):
        attempt(run)
    mine = run / "checkpoints" / "mine.safetensors"
    mine.write_bytes(b"mine")
    nine = run / "checkpoints" / "123456789.safetensors"
    nine.write_bytes(checkpoints(run)[-1].read_bytes())
    assert checkpoints(run)[-1] == nine
    nine.unlink()
    attempt(run, resume=True)
    assert mine.read_bytes() == b"mine"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "network.json").write_text("{}")
    for resume in (False, True):
        with pytest.raises(SpecError, match="is not empty"):
            attempt(tmp_path / "mine", resume=resume)
    with pytest.raises(SpecError, match="holds a run"):
        attempt(whole)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["network.json"]
    with pytest.raises(SpecError, match="unwritable"):
        attempt(tmp_path / "mine" / "network.json")


def test_two_do_not_train_in_one_folder(tmp_path: Path) -> None:
    run, said = tmp_path / "run", []

    def listener(event: Event) -> None:
        if isinstance(event, Logged) and not said:
            with pytest.raises(SpecError) as caught:
                attempt(run, resume=True)
            said.append(str(caught.value))

    attempt(run, listener=listener)
    assert f"process {os.getpid()} on" in said[0]
    assert "run-in-progress" in said[0]


@pytest.mark.slow  # a process imports PyTorch
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from resdsl.train.run.lock import held
with held(Path({str(tmp_path)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(SpecError, match=f"process {process.pid} on"), lock.held(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    with lock.held(tmp_path):
        assert (tmp_path / lock.NAME).read_text().split()[0] == str(os.getpid())


class Disk:
    """A disk with so many bytes left, for what is written to regular files of a run."""

    def __init__(self, left: int, patch: pytest.MonkeyPatch) -> None:
        self.left = left
        write = os.fdopen

        def fdopen(handle: int, mode: str) -> BufferedWriter:
            stream = write(handle, mode)
            return _Full(stream, self)  # pyright: ignore[reportReturnType]

        patch.setattr("resdsl.writing.os.fdopen", fdopen)
        append = log.append

        def appended(run: Path, event: Event) -> None:
            if self.left < 200:
                raise_full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(raise_full))
                    append(run, event)
            self.left -= 200
            append(run, event)

        patch.setattr(log, "append", appended)


class _Full:
    def __init__(self, stream: BufferedWriter, disk: Disk) -> None:
        self.stream, self.disk = stream, disk

    def write(self, content: bytes) -> int:
        if len(content) > self.disk.left:
            self.stream.write(content[: self.disk.left])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.disk.left -= len(content)
        return self.stream.write(content)

    def close(self) -> None:
        self.stream.close()


@pytest.mark.parametrize("seed", range(12))
def test_a_disk_that_gets_full_leaves_what_can_be_resumed(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    run = tmp_path / "run"
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    with monkeypatch.context() as patch:
        Disk(random.Random(seed).randrange(size), patch)
        with pytest.raises(SpecError) as caught:
            attempt(run)
    said = caught.value.diagnostics[0]
    assert said.code == "unwritable"
    assert str(run) in said.message
    assert "No space left on device" in said.message
    assert all(checkpoint.read(path).iteration for path in checkpoints(run))
    attempt(run, resume=True)
    assert left_by(run) == left_by(whole)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from resdsl.diagnostics import SpecError
from tests.train.tries import attempt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    attempt(Path(sys.argv[1]))
except SpecError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of file sizes are tried on Linux")
def test_a_limit_of_the_system(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    limit = checkpoints(whole)[-1].stat().st_size - 100
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", LIMITED, str(run), str(limit)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert "error[unwritable]" in ended.stdout, ended.stderr
    assert "00000005.safetensors" in ended.stdout
    assert not checkpoints(run)
    attempt(run, resume=True)
    assert left_by(run) == left_by(whole)


def test_a_log_that_is_none_is_said_to_be_so(tmp_path: Path) -> None:
    run = tmp_path / "run"
    attempt(run)
    lines = (run / log.NAME).read_text().splitlines(keepends=True)
    events = log.history(run)
    assert len(events) == len(lines)
    (run / log.NAME).write_text("".join(lines) + lines[0][:20])
    assert log.history(run) == events
    (run / log.NAME).write_text("".join(lines[:-1]) + lines[-1][:20] + "\n")
    assert log.history(run) == events[:-1]
    (run / log.NAME).write_text("".join([*lines[:2], "{}\n", *lines[2:]]))
    with pytest.raises(SpecError, match="line 3"):
        log.history(run)


def test_a_loss_that_is_not_finite_is_still_json(tmp_path: Path) -> None:
    log.append(tmp_path, Evaluated(3, 0, float("inf"), 0.5, True))
    json.loads((tmp_path / log.NAME).read_text(), parse_constant=lambda word: pytest.fail(word))
    (event,) = log.history(tmp_path)
    assert event.loss != event.loss
    assert isinstance(event, Evaluated)


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    ours = [
        ".run.json.abcd_123",
        ".log.jsonl.abcdefgh",
        ".last.safetensors.aaaaaaaa",
        "checkpoints/.00000005.safetensors.k1_2abcd",
    ]
    theirs = [".lock", ".hidden", "checkpoints/.mine", "checkpoints/00000005.safetensors", "run.json.abcd1234"]
    for name in (*ours, *theirs):
        (tmp_path / name).write_text("")
    folder.sweep(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(theirs)
