"""A run's report for people: report.md, one page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from resdsl.train.report.confusion import most_confused
from resdsl.train.report.facts import Facts

CURVES, CONFUSION = "curves", "confusion"
"""Names of figures, without their endings."""
MISSING = (
    "There are no figures: they are drawn with matplotlib, which is not installed (`pip install 'resdsl[train]'`)."
)


def page(facts: Facts, figures: tuple[str, ...]) -> str:
    """figures: those that were drawn."""
    about = facts.about
    recipe, data = about["recipe"], about["data"]
    rows = [
        ("test error", _result(facts)),
        ("test loss", "–" if facts.final is None else f"{facts.final.loss:.4f}"),
        ("training", _training(facts)),
        ("network", f"`{about['network']}`: {_network(facts)}"),
        ("data", f"{_plain(data['name'])}, {len(data['classes']):,} classes"),
        ("recipe", f"{_plain(recipe['name'])}: {_recipe(recipe)}"),
        ("seed", str(about["seed"])),
        ("computed", _computed(facts)),
    ]
    rows += _environment(about)
    lines = [f"# {about['network']} on {_plain(data['name'])}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in rows]
    if CURVES in figures:
        lines += ["", "## Training", "", f"![Loss and error over iterations]({CURVES}.svg)"]
    if facts.score is not None:
        lines += ["", "## What is taken for what", ""]
        lines += [f"![Confusion matrix]({CONFUSION}.svg)", ""] * (CONFUSION in figures)
        lines += _pairs(facts)
    if not figures:
        lines += ["", MISSING]
    return "\n".join([*lines, "", "All numbers are in `report.json`, the log is `../log.jsonl`.", ""])


def percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def _result(facts: Facts) -> str:
    final, best = facts.final, facts.best
    if final is None:
        return "not evaluated"
    text = f"**{percent(final.error)}** after {_iterations(final.iteration)}"
    if best is None or best.iteration == final.iteration:
        return text
    return (
        f"{text}; the least of all evaluations, chosen on the test set: {percent(best.error)} after {best.iteration:,}"
    )


def _training(facts: Facts) -> str:
    if not facts.trained:
        return "nothing was logged"
    last = facts.trained[-1]
    text = f"{_iterations(facts.iteration)}; at the end loss {last.loss:.4f}, error {percent(last.error)}"
    return f"{text}; {_time(facts.seconds)}, {facts.samples_per_second:,.0f} samples/s"


def _network(facts: Facts) -> str:
    costs = facts.network.costs
    return f"{costs.depth:,} layers, {costs.parameters:,} parameters, {costs.macs:,} multiply-accumulates a sample"


def _recipe(recipe: Mapping[str, Any]) -> str:
    words = [f"batch {recipe['batch']}", f"{recipe['length']:,} {recipe['unit']}", f"rate {recipe['rate']:g}"]
    if recipe["steps"]:
        words.append(f"× {recipe['factor']:g} at {', '.join(f'{step:,}' for step in recipe['steps'])}")
    if recipe["warmup"]:
        words.append(f"{recipe['warmup_rate']:g} for the first {_iterations(recipe['warmup'])}")
    words.append(f"momentum {recipe['momentum']:g}" + " (Nesterov)" * recipe["nesterov"])
    return ", ".join([*words, f"weight decay {recipe['weight_decay']:g}"])


def _computed(facts: Facts) -> str:
    said = dict(facts.about.get("execution", {}))
    if said.get("compile") == "none":
        said.pop("backend", None)
    words = [f"{name} {value}" for name, value in said.items() if isinstance(value, str)]
    words += [name for name, value in said.items() if value is True]
    processes = facts.about.get("processes", 1)
    return ", ".join([*words, f"{processes} processes" if processes > 1 else "1 process"]).replace("_", " ")


def _environment(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """As the run recorded it when it began, and how often it went on since."""
    said = about.get("environment")
    if not said:
        return []
    here = said["machine"]
    resumed = len(about.get("resumed", ()))
    times = f"; resumed {resumed} times" if resumed > 1 else "; resumed once" * resumed
    versions = f"resdsl {said['resdsl']}, PyTorch {said['torch']}, Python {here['python']}"
    where = f"{_plain(said['device'])}; {_plain(here['cpu'])}, {here['cores']} cores"
    return [("with", versions), ("on", where), ("started", said["started"] + times)]


def _pairs(facts: Facts) -> list[str]:
    assert facts.score is not None
    pairs = most_confused(facts.score.confusion)
    if not pairs:
        return ["Nothing: every sample is called what it is."]
    lines = ["| is | called | samples | of |", "|---|---|--:|--:|"]
    for pair in pairs:
        actual, called = (_plain(facts.classes[label]) for label in (pair.actual, pair.called))
        lines.append(f"| {actual} | {called} | {pair.times:,} | {pair.samples:,} |")
    return lines


def _iterations(count: int) -> str:
    return "1 iteration" if count == 1 else f"{count:,} iterations"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _plain(text: str) -> str:
    """A user's words in a cell of a table."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("|", "\\|").replace("<", "&lt;").replace('\\"', '"')
