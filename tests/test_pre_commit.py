""".pre-commit-hooks.yaml names commands that there are. Read line by line, as the tests need no YAML otherwise."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from resdsl.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
KEYS = {"id", "name", "description", "entry", "language", "files", "require_serial"}


def hooks() -> list[dict[str, str]]:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    blocks = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^\s*(\w+): (.*)$", block, re.MULTILINE)) for block in blocks]


def test_hooks() -> None:
    assert [hook["id"] for hook in hooks()] == ["resdsl-lint", "resdsl-check"]
    for hook in hooks():
        assert set(hook) == KEYS
        assert hook["language"] == "python"
        program, command, *options = hook["entry"].split()
        assert program == "resdsl"
        assert command in COMMANDS
        spec = ROOT / "specs" / "preact1001.resnet"
        assert re.search(hook["files"], str(spec))
        assert not re.search(hook["files"], "preact1001.resnet.txt")
        assert CliRunner().invoke(main, [command, *options, str(spec)]).exit_code == 0
    documented = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert all(f"- id: {hook['id']}" in documented for hook in hooks())
