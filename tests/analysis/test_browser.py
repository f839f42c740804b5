"""A command that hangs, with a child that holds its output open, as Chromium's do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.analysis.browser import said

HANGS = """import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("child.tmp", "w").write(str(child.pid))
os.rename("child.tmp", "child")
time.sleep(60)
"""


def test_a_time_out_ends_the_children_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        said([sys.executable, "-c", HANGS], tmp_path, 5)
    assert time.monotonic() - before < 20
    assert _ends(int((tmp_path / "child").read_text()))


def test_what_it_says_and_that_it_fails(tmp_path: Path) -> None:
    assert said([sys.executable, "-c", "print('a page')"], tmp_path, 60) == "a page\n"
    with pytest.raises(AssertionError, match="no such page"):
        said([sys.executable, "-c", "raise SystemExit('no such page')"], tmp_path, 60)


def _ends(process: int) -> bool:
    """Whether it is gone, or a zombie that whoever inherited it has not buried, within some seconds."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
