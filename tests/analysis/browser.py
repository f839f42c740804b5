"""A real browser without a window, for pages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
SECONDS = 60


def browser() -> str | None:
    """Its program; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def dom(page: Path, folder: Path) -> str:
    """The document once its scripts have run."""
    return _run(page, folder, "--dump-dom").stdout


def screenshot(page: Path, folder: Path, width: int = 1280, height: int = 3600) -> Path:
    out = folder / "page.png"
    _run(page, folder, f"--screenshot={out}", f"--window-size={width},{height}")
    return out


def _run(page: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = browser()
    assert program is not None
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [program, *FLAGS, profile, *arguments, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
