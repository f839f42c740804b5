"""`resdsl rules`."""

from __future__ import annotations

import json

import click

from resdsl.linter.rule import Mends
from resdsl.linter.table import GROUPS, RULES


@click.command("rules")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How they are listed.")  # fmt: skip
def command(form: str) -> None:
    """List the rules of `resdsl lint`: code, name, what it finds, and whether --fix mends it.

    \b
    resdsl rules
    resdsl rules --format json
    """
    click.echo(json.dumps(_document(), indent=2, ensure_ascii=False) if form == "json" else _text())


def _text() -> str:
    width = max(len(rule.name) for rule in RULES)
    lines: list[str] = []
    for group, about in GROUPS.items():
        rules = [rule for rule in RULES if rule.code.startswith(group)]
        if rules:
            lines.append(f"{group}: {about}")
        for rule in rules:
            fix = "" if rule.mends is Mends.NOTHING else f" ({rule.mends.value})"
            lines.append(f"  {rule.code}  {rule.name:<{width}}  {rule.summary}{fix}")
    return "\n".join(lines)


def _document() -> list[dict[str, str | None]]:
    fixes = {Mends.NOTHING: None, Mends.SAFE: "safe", Mends.UNSAFE: "unsafe"}
    return [
        {
            "code": rule.code,
            "name": rule.name,
            "group": GROUPS[rule.code[:2]],
            "summary": rule.summary,
            "fix": fixes[rule.mends],
            "page": rule.page,
        }
        for rule in RULES
    ]
