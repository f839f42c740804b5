"""`resdsl lint`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from resdsl.cli.lint_files import Job, Mode, Task, Work, encoded
from resdsl.cli.options import library_options, reporting
from resdsl.diagnostics import Severity
from resdsl.linter.config import Asked, Configurations, selection_for
from resdsl.linter.files import File, Origin, Unreadable, files
from resdsl.linter.report import FORMATS, statistics, summary
from resdsl.linter.select import selection, words
from resdsl.linter.table import RULES
from resdsl.linter.words import counted
from resdsl.semantics.lower import DEFAULT_MAX_UNITS
from resdsl.semantics.program import STANDARD
from resdsl.writing import write


@click.command("lint")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--select", multiple=True, metavar="RULES", help="Only these rules: codes, names, or how they begin, with commas; ALL for all.")  # fmt: skip
@click.option("--ignore", multiple=True, metavar="RULES", help="Not these rules.")
@click.option("--fix", "fixing", is_flag=True, help="Mend what can be mended, in the files.")
@click.option("--unsafe-fixes", "unsafe", is_flag=True, help="Count fixes in that make another network.")
@click.option("--diff", "diffing", is_flag=True, help="Print what --fix would change, and change nothing.")
@click.option("--add-allow", "allowing", is_flag=True, help="Write `# resdsl: allow …` where something is found.")
@click.option("--reason", default="", metavar="TEXT", help="What these comments give as their reason.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever is found.")
@click.option("--min-severity", "least", type=click.Choice([each.value for each in Severity]), default="note", show_default=True, help="Tell only findings from there up.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="How findings are told.  [default: text]")
@click.option("--statistics", "counting", is_flag=True, help="Only how often each rule has something to say.")
@click.option("-o", "--output", "out", metavar="FILE", default="-", help="File to write the findings to.  [default: standard output]")  # fmt: skip
@click.option("--stdin-filename", "stdin", metavar="FILE", default="", help="What standard input is called, and where it counts as standing.")  # fmt: skip
@click.option("--force-exclude", is_flag=True, help="Leave out what the configuration excludes even if it is named.")
@click.option("--isolated", is_flag=True, help="Read no pyproject.toml.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder that imports may come from.  [default: each spec's own]")  # fmt: skip
@click.option("--max-units", type=click.IntRange(1), default=DEFAULT_MAX_UNITS, show_default=True, help="Most units of a network.")  # fmt: skip
def command(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fixing: bool,
    unsafe: bool,
    diffing: bool,
    allowing: bool,
    reason: str,
    exit_zero: bool,
    least: str,
    form: str | None,
    counting: bool,
    out: str,
    stdin: str,
    force_exclude: bool,
    isolated: bool,
    root: Path | None,
    max_units: int,
) -> None:
    """Say where networks are not what their author may believe, and mend it.

    PATHs are files, folders with all *.resnet files in them, quoted patterns, std/NAME, or - for standard input; without
    any, the current folder. Rules are configured in [tool.resdsl.lint] of pyproject.toml.

    Exits with 0 if there is nothing but notes, with 1 if there are warnings or errors, with 2 if it was called wrongly.

    \b
    resdsl lint specs/
    resdsl lint --fix my.resnet
    resdsl lint --select shortcut,AD001 --format sarif -o findings.sarif
    """
    if allowing and (fixing or diffing):
        raise click.UsageError(f"--add-allow and {'--fix' if fixing else '--diff'} exclude each other")
    if out != "-" and (allowing or diffing):
        raise click.UsageError(f"-o is for findings: {'--add-allow' if allowing else '--diff'} writes none")
    if (form or counting) and (allowing or diffing):
        told = "--statistics" if counting else "--format"
        raise click.UsageError(f"{told} is for findings: {'--add-allow' if allowing else '--diff'} writes none")
    if reason and not allowing:
        raise click.UsageError("--reason is for --add-allow")
    if counting and form not in (None, "text", "concise"):
        raise click.UsageError(f"--statistics and --format {form} exclude each other")
    if stdin and "-" not in (paths or "-"):
        raise click.UsageError("--stdin-filename is for standard input: lint -")
    if "" in paths:
        raise click.UsageError("a PATH is empty: the current folder is .")
    if select and not words(select):
        raise click.UsageError("--select names no rule")
    packaged = next((path for path in paths if path.startswith(STANDARD) and not Path(path).is_file()), None)
    if packaged and (allowing or (fixing and not diffing)):
        raise click.UsageError(f"{packaged} comes with resdsl and is not changed: lint a copy")
    mode = Mode.ALLOW if allowing else Mode.DIFF if diffing else Mode.FIX if fixing else Mode.REPORT
    with reporting():
        work = Work(mode, library_options(root, max_units), unsafe, reason, Severity(least))
        asked = Asked(selection(words(select) if select else None, words(ignore), RULES), bool(select))
        configurations = Configurations(isolated)
        tasks = [  # all of them now, so that a configuration that is wrong is told before anything is written
            Task(found, selection_for(found.path, configurations.of(found.folder), asked))
            if isinstance(found, File)
            else found
            for found in files(paths or ("-" if stdin else ".",), configurations, stdin, force_exclude=force_exclude)
        ]
        if out != "-" and _is_among(out, tasks):
            raise click.UsageError(f"-o {out} is one of the files to lint")
        work.do_all(tasks)
        code = _tell(work, form or "text", out, counting=counting)
    raise SystemExit(0 if exit_zero else code)


def _tell(work: Work, form: str, out: str, *, counting: bool) -> int:
    """Prints what was found and done; the exit code."""
    found = work.by_place()
    bad = any(told.diagnostic.severity is not Severity.NOTE for told in found)
    done = f"{counted(work.changes, 'finding')} in {counted(work.changed, 'file')}" if work.changes else "nothing"
    if work.mode in (Mode.DIFF, Mode.ALLOW):
        verb = "Would fix" if work.mode is Mode.DIFF else "Allowed"
        click.echo(f"{FORMATS['text'](found, work.unsafe)}{verb} {done}.", err=True)
        if work.mode is Mode.ALLOW and work.changes and not work.reason.strip():
            click.echo("The rule unexplained-suppression asks for reasons: `--reason TEXT` gives one.", err=True)
        return 1 if bad or (work.mode is Mode.DIFF and work.changes) else 0
    told = statistics(found) if counting else FORMATS[form](found, work.unsafe)
    end = summary(found, work.files, work.unsafe) if work.files else ""
    if work.mode is Mode.FIX and work.changes:
        end = f"Fixed {done}.\n{end}"
    if form in ("text", "concise"):
        told, end = told + end, ""
    if out == "-" and work.on_stdout:
        click.echo(told, err=True, nl=False)
    elif told or out != "-":
        write(encoded(told), out)
    click.echo(end, err=True, nl=False)
    return 1 if bad else 0


def _is_among(out: str, tasks: Sequence[Job]) -> bool:
    paths: list[str | Path] = [task.name for task in tasks if isinstance(task, Unreadable)]
    paths += [task.file.path for task in tasks if isinstance(task, Task) and task.file.origin is not Origin.INPUT]
    return os.path.realpath(out) in {os.path.realpath(path) for path in paths}
