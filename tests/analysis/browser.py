"""A real browser without a window, for pages."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
SECONDS = 180


def browser() -> str | None:
    """Its program; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def dom(page: Path, folder: Path) -> str:
    """The document once its scripts have run."""
    return _run(page, folder, "--dump-dom")


def screenshot(page: Path, folder: Path, width: int = 1280, height: int = 3600) -> Path:
    out = folder / "page.png"
    _run(page, folder, f"--screenshot={out}", f"--window-size={width},{height}")
    return out


def _run(page: Path, folder: Path, *arguments: str) -> str:
    program = browser()
    assert program is not None
    profile = _profile(program)
    return said([program, *FLAGS, f"--user-data-dir={profile}", *arguments, page.resolve().as_uri()], folder, SECONDS)


@cache
def _profile(program: str) -> Path:
    """One for all pages, made by a first start, which takes longest."""
    held = tempfile.TemporaryDirectory(prefix="resdsl-browser-", ignore_cleanup_errors=True)
    atexit.register(held.cleanup)
    profile = Path(held.name)
    said([program, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", "about:blank"], profile, SECONDS)
    return profile


def said(command: Sequence[str], folder: Path, seconds: float) -> str:
    """What a command prints. Its output goes to a file and its children end with it: a browser's hold pipes open when it is gone."""
    with (folder / "said.txt").open("wb") as out, (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, start_new_session=True)
        try:
            code = process.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert code == 0, (folder / "errors.txt").read_text(errors="replace")
    return (folder / "said.txt").read_text()
