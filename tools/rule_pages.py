"""Writes docs/rules/: a page for each rule of the linter, and their index with the thresholds of severity.

`python tools/rule_pages.py`. The pages are the docstrings of resdsl/linter/rules/.
"""

from __future__ import annotations

from pathlib import Path

from resdsl.linter.rule import Mends, Rule
from resdsl.linter.severity import THRESHOLDS
from resdsl.linter.table import GROUPS, RULES

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "rules"

INTRODUCTION = """# The rules of the linter

`resdsl lint` reads a spec and says where its networks are not what their author may believe: what keeps the identity path
from being one, and what that costs. `resdsl explain NAME` prints a page, `resdsl rules` this list. How the command is called
is in [the command line](../cli.md#lint), and what the rules say of the networks of He et al. 2016 beside that paper's errors
in [the verdicts](../verdicts.md).
"""

ENDING = """
## Severities

- A **note** says what is so. Many a good network has some.
- A **warning** says that it costs something that was measured.
- An **error** says that such networks were seen not to train, or much worse.

Where a quantity decides, it is computed over all units of the network's path of which the same is told, and held against one of these
thresholds. Everything else is always of the severity that its page says.

{thresholds}

## Suppressing a finding

Say in place what you mean, and why:

```resnet
unit scaled(width) {{
    branch   conv(3x3, width) -> bn -> relu -> conv(3x3, width) -> bn
    shortcut scale(0.5)    # resdsl: allow shortcut-scale (row 0.5 of the ablation)
}}

unit gated(width) {{
    branch   conv(3x3, width) -> bn -> relu -> conv(3x3, width) -> bn
    # resdsl: allow shortcut-gate (as published)
    shortcut gate(-6)
}}
```

A comment behind code speaks of its own line, one on a line of its own of the next line with code. `# resdsl: allow-file`
speaks of the whole file, wherever it stands. Rules go by name or code, several with commas between. A finding about a unit that is
imported is allowed in the unit's file at the clause that says it, in the linted file at its first line that brings the unit in,
or by `allow-file` in either.
`resdsl lint --add-allow --reason TEXT` writes the comments for all warnings and errors that a file has today.

## Configuring

The nearest `pyproject.toml` upwards of a file that has the table counts; tables are not merged.

```toml
[tool.resdsl.lint]
select  = ["ALL"]                   # codes, names, or how they begin: "SC001", "shortcut-scale", "SC", "shortcut"
ignore  = ["activation-after-addition"]
exclude = ["legacy", "sketches/*.resnet"]

[tool.resdsl.lint.per-file-ignores]
"ablations/**" = ["SC"]
```

Where `select` and `ignore` both mean a rule, the more exact word wins, and `ignore` between equals. `--select` replaces what is
selected and ignored here, `--ignore` adds to it, `--isolated` reads no configuration. Patterns count from the folder of the
`pyproject.toml`; one without a slash means files and folders of that name anywhere. In `per-file-ignores` a folder stands for
all that is in it, and what counts is the file that a finding is shown in, not the one that an imported unit comes from. A file
that is named on the command line is linted even if it is excluded. Folders whose name begins with a dot, and `build`, `dist`,
`venv`, `node_modules` and the like, are not searched unless they are named.

Written by `tools/rule_pages.py`.
"""


def pages() -> dict[str, str]:
    """The text of each file of docs/rules by its name."""
    return {"README.md": index(), **{f"{rule.name}.md": page(rule) for rule in RULES}}


def page(rule: Rule) -> str:
    about = GROUPS[rule.code[:2]]
    mends = "It has no fix" if rule.mends is Mends.NOTHING else f"It has {rule.mends.value}"
    summary, _, rest = rule.page.partition("\n")
    return (
        f"# {rule.name} ({rule.code})\n\n{summary}\n\nOne of [the rules](README.md) on {about}. {mends}. "
        f"In place: `# resdsl: allow {rule.name} (reason)`.\n{rest}\n"
    )


def index() -> str:
    parts = [INTRODUCTION.rstrip()]
    for group, about in GROUPS.items():
        rules = [rule for rule in RULES if rule.code.startswith(group)]
        if rules:
            parts.append(f"\n## {group}: {about}\n\n| code | rule | what it finds | fix |\n|---|---|---|---|")
            parts += [
                f"| {rule.code} | [{rule.name}]({rule.name}.md) | {_cell(rule.summary)} | {_fix(rule)} |"
                for rule in rules
            ]
    return "\n".join(parts) + "\n" + ENDING.format(thresholds=_thresholds())


def _thresholds() -> str:
    rows = [f"| {_cell(each.measure)} | {_cell(each.limits)} | {_cell(each.why)} |" for each in THRESHOLDS]
    return "\n".join(["| measure | limits | why |", "|---|---|---|", *rows])


def _fix(rule: Rule) -> str:
    return "" if rule.mends is Mends.NOTHING else rule.mends.name.lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    current = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in current:
            path.unlink()
    for name, text in current.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
