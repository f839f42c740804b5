"""The documents say what the program does: their specs check, their console sessions print what stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

import resdsl

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[ParameterSet]:
    found: list[ParameterSet] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"```{language}\n(.*?)```", text, re.DOTALL):
            line = text[: match.start()].count("\n") + 2
            found.append(pytest.param(match.group(1), id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("block", blocks("resnet"))
def test_specs_have_no_errors(block: str) -> None:
    text = block if re.search(r"^resnet 1$", block, re.MULTILINE) else f"resnet 1\n{block}"
    assert [diagnostic.render() for diagnostic in resdsl.check(text)] == []


def loosely(text: str) -> str:
    """Without the digits of measured differences and without spaces at line ends."""
    return "\n".join(re.sub(r"\d+\.\d+e[+-]\d+", "N", line.rstrip()) for line in text.rstrip().splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in blocks("console") if "$ " in block.values[0]])
def test_console_sessions(block: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    for example in (ROOT / "docs" / "examples").glob("*.resnet"):
        shutil.copy(example, tmp_path)
    environment = dict(os.environ, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    commands = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    assert commands
    for part in commands:
        command, _, expected = part.partition("\n")
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert loosely(done.stdout + done.stderr) == loosely(expected), command


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_readme_has_two_commands() -> None:
    commands = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert [command.count("\n") for command in commands] == [1, 1]
