"""Signals that end the program while it writes: nothing half-done is left, and what is half in place is finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resdsl.signals import leaving, waiting
from resdsl.writing import writing

BEFORE = b"what stood here before"
WRITES = """
import time
from resdsl.writing import writing
with writing("out.onnx") as output:
    output.stream.write(b"half")
    output.beside(".data")[1].write(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def default_handlers() -> Iterator[None]:
    """Under nohup SIGHUP is ignored, and SIGINT where a shell's script runs this in the background; they stay so."""
    handlers = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "out.onnx").write_bytes(BEFORE)
    (tmp_path / "out.onnx.data").write_bytes(BEFORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_pair() -> None:
    with writing("out.onnx") as output:
        assert output.beside is not None
        output.stream.write(b"model")
        output.beside(".data")[1].write(b"weights")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_half_written_is_left(folder: Path, number: signal.Signals) -> None:
    before = contents(folder)
    with subprocess.Popen([sys.executable, "-c", WRITES], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"writing\n"
        assert len(contents(folder)) == 4
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert process.stderr.read() == b""
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_pair_that_is_half_in_place_is_finished(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, error: type[BaseException]
) -> None:
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        replace(source, target)
        signal.raise_signal(number)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(error):
        write_pair()
    assert contents(folder) == {"out.onnx": b"model", "out.onnx.data": b"weights"}


def test_handlers_are_as_they_were() -> None:
    def own(*_: object) -> None: ...

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, handler) for number, handler in zip(numbers, (own, signal.SIG_IGN), strict=True)]
    try:
        with leaving(), waiting():
            signal.raise_signal(signal.SIGHUP)
        with leaving():
            assert [signal.getsignal(number) for number in numbers] == [own, signal.SIG_IGN]
        assert [signal.getsignal(number) for number in numbers] == [own, signal.SIG_IGN]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(SystemExit), leaving():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_other_threads_write_too(folder: Path) -> None:
    def write() -> None:
        with writing("out.onnx") as output:
            output.stream.write(b"model")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert (folder / "out.onnx").read_bytes() == b"model"
