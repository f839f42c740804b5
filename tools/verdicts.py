"""Writes docs/verdicts.md: what the linter says of every row of Tables 1 and 2 of He et al. 2016, beside the paper's errors.

`python tools/verdicts.py`. The networks are those of specs/; comments that allow findings there are not heeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Finding, Rule
from resdsl.linter.subject import LintedFile, LintedNetwork, modules
from resdsl.linter.table import RULES
from resdsl.linter.words import power
from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.spec import Parameter, build, open_spec
from resdsl.theory.path_gain import Gain, chain_gain, has_weights, open_chance
from resdsl.theory.path_gain import Path as DirectPath

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "verdicts.md"
FAIL = 20.0
"""Percent; the paper calls more than that "fail"."""


@dataclass(frozen=True)
class Row:
    """One row of the paper's tables. error: in %, None for fail."""

    name: str
    file: str
    network: str
    error: float | None
    parameters: Mapping[str, Parameter]


def row(name: str, network: str, error: float | None, file: str = "resnet110", **parameters: Parameter) -> Row:
    return Row(name, file, network, error, parameters)


TABLE_1 = (
    row("original: identity", "resnet110", 6.61),
    row("constant scaling 0 : 1 (plain)", "plain110", None),
    row("constant scaling 0.5 : 1", "scale_half", None),
    row("constant scaling 0.5 : 0.5", "scale_half_frozen", 12.35),
    row("exclusive gating, bias 0", "gate_exclusive", None, bias=0),
    row("exclusive gating, bias -5", "gate_exclusive", None, bias=-5),
    row("exclusive gating, bias -6", "gate_exclusive", 8.70),
    row("exclusive gating, bias -7", "gate_exclusive", 9.81, bias=-7),
    row("shortcut-only gating, bias 0", "gate_shortcut", 12.86, bias=0),
    row("shortcut-only gating, bias -6", "gate_shortcut", 6.91),
    row("1x1 convolution", "conv_shortcut", 12.22),
    row("dropout 0.5", "dropout_shortcut", None),
)
PLACEMENTS = (
    ("a: original", "resnet", 6.61, 5.93),
    ("b: BN after addition", "bn_after_add", 8.17, 6.50),
    ("c: ReLU before addition", "relu_before_add", 7.84, 6.14),
    ("d: ReLU-only pre-activation", "relu_only_pre", 6.71, 5.91),
    ("e: full pre-activation", "preact", 6.37, 5.46),
)
TABLE_2 = {
    depth: tuple(
        row(name, f"{stem}{depth}", (at_110, at_164)[depth == 164], f"resnet{depth}")
        for name, stem, at_110, at_164 in PLACEMENTS
    )
    for depth in (110, 164)
}


@dataclass(frozen=True)
class Verdict:
    """findings: what the rules say, the most severe of each. gain: of the shortcuts. left: log10 of the share of the
    signal that goes straight through them. path: the whole network's. open: the chance that no ReLU behind an addition
    closes it."""

    row: Row
    findings: Mapping[Rule, Severity]
    gain: Gain
    left: float
    path: DirectPath
    open: float

    @property
    def decades(self) -> float:
        """What the path loses: through shortcuts and ReLUs behind additions; without end for norms there."""
        return math.inf if self.path.norms else -self.left - math.log10(self.open)


def verdict(of: Row) -> Verdict:
    path = ROOT / "specs" / f"{of.file}.resnet"
    module = open_spec(path)
    declaration = next(declared for declared in module.networks() if declared.name == of.network)
    network = build(path, of.network, of.parameters)
    linted = LintedNetwork(declaration, network, {each.file.source.name: each.file.source for each in modules(module)})
    file = LintedFile(module, [linted], complete=False, rules=RULES)
    found: dict[Rule, Severity] = {}
    for rule in RULES:
        severities = [finding.severity for finding in rule.check(file) if about(finding, linted)]
        if severities:
            found[rule] = max(severities, key=lambda severity: severity.rank)
    whole = linted.paths[-1]
    assert whole.gain is not None, f"{of.network} has no closed form"
    return Verdict(of, found, whole.gain, straight(network), whole, behind_additions(network))


def about(finding: Finding, network: LintedNetwork) -> bool:
    """Whether the finding is about this network and not about other lines of its file."""
    return finding.network is network


def straight(network: Network) -> float:
    """log10 of what the operators of all shortcuts leave of the signal as it was sent; convolutions at changes of shape, and
    what a shortcut reads, are no part of it. For dropout, whose mean is 1, the chance that an element is never dropped.
    """
    total = 0.0
    for stage in network.stages:
        for element in stage:
            for run in element.runs if isinstance(element, op.Units) else ():
                chain = run.unit.shortcut.chain
                if chain is None:
                    return -math.inf
                if not (run.unit.changes_shape and has_weights(chain)):
                    gain = chain_gain(chain, run.unit.input)
                    assert gain is not None, f"{run.unit.label} has no closed form"
                    total += run.count * (gain.mean + sum(map(kept, chain)))
    return total


def behind_additions(network: Network) -> float:
    """The chance that no ReLU behind an addition closes the path."""
    runs = (run for stage in network.stages for part in stage if isinstance(part, op.Units) for run in part.runs)
    return open_chance(
        sum(run.count for run in runs if any(isinstance(element, op.Relu) for element in run.unit.after))
    )


def kept(element: op.Element) -> float:
    """log10 of the chance that dropout leaves an element."""
    return math.log10(1 - element.p) if isinstance(element, op.Dropout) and not isinstance(element.p, tuple) else 0.0


def told(found: Verdict) -> str:
    """The rules that speak, most severe first; the notes on how shapes change, which all rows share, left out."""
    rules = [(rule, severity) for rule, severity in found.findings.items() if not rule.code.startswith("PR")]
    ordered = sorted(rules, key=lambda item: (-item[1].rank, item[0].code))
    return ", ".join(f"{severity.value}: [{rule.name}](rules/{rule.name}.md)" for rule, severity in ordered) or "clean"


def shown(error: float | None) -> str:
    return "fail" if error is None else f"{error:.2f}"


EXPLAINED = {
    "exclusive gating, bias -7": "The gates leave more of the path open than at -6, and scale the branch by 0.0024 at the start instead of "
    "0.0065: an exclusive gate opens the one only as it closes the other. The path gain speaks of the shortcut alone.",
    "exclusive gating, bias -5": "The path carries more than in networks that train. The branch is scaled by less than a fiftieth at the "
    "start, which no path gain knows of; and why runs fail at -5 and not at -6, it does not say.",
    "1x1 convolution": "Nothing arrives as it was sent, so the direct term is 0; but all of it arrives, mixed, and training can "
    "undo that in part.",
    "c: ReLU before addition": "The path is clean, and the branch is not: it never goes below 0, so the signal can only grow. "
    "The rule about it is activation-before-addition.",
    "d: ReLU-only pre-activation": "The path is clean. What differs from e is in the branch, whose first ReLU reads what no norm has "
    "touched; the paper finds it about as good as the original.",
    "constant scaling 0.5 : 0.5": "The same path as with 0.5 : 1. With the branch scaled too, the stream keeps its size where the "
    "branch would otherwise swamp it.",
}
"""Why a row's place by path gain is not its place by error."""


@dataclass(frozen=True)
class Ranking:
    """Pairs of rows whose errors differ: in how many the one with the lower error has the cleaner path, in how many the
    paths are alike, and those in which it is the other way round."""

    agree: int
    tied: int
    otherwise: tuple[tuple[Row, Row], ...]


def ranking(verdicts: list[Verdict]) -> Ranking:
    agree = tied = 0
    otherwise: list[tuple[Row, Row]] = []
    for one, other in combinations(verdicts, 2):
        if one.row.error == other.row.error:
            continue
        better, worse = (one, other) if number(one.row.error) < number(other.row.error) else (other, one)
        if better.decades == worse.decades or math.isclose(better.decades, worse.decades, rel_tol=1e-9, abs_tol=1e-9):
            tied += 1
        elif better.decades < worse.decades:
            agree += 1
        else:
            otherwise.append((better.row, worse.row))
    return Ranking(agree, tied, tuple(otherwise))


def number(error: float | None) -> float:
    return math.inf if error is None else error


def unexplained(found: Ranking) -> list[str]:
    """Pairs in which neither row has an explanation."""
    return [
        f"{better.name} / {worse.name}"
        for better, worse in found.otherwise
        if better.name not in EXPLAINED and worse.name not in EXPLAINED
    ]


INTRODUCTION = """# The linter beside the paper

Every row of Tables 1 and 2 of He et al. 2016 (*Identity Mappings in Deep Residual Networks*), as networks of
[specs/](../specs/README.md): what the rules say of it, what its path carries before training, and the error that the paper reports on
CIFAR-10 ("fail": above 20 %). The comments that allow these findings in specs/ are not heeded here. Notes about how shapes change,
which all rows share, are left out.

*Straight through* is the share of the signal that the shortcuts of the network carry from end to end as it was sent: the direct
term of equation 3. For dropout it is the chance that an element is never dropped. The second moments count what arrives in any
form, with the weights as they start. [Severities](rules/README.md#severities) depend on these numbers.
"""


def page() -> str:
    first = [verdict(of) for of in TABLE_1]
    lines = [INTRODUCTION, "## Table 1: shortcuts, ResNet-110 with ReLU behind the addition", ""]
    lines += ["| shortcut | error % | straight through | second moment forward | backward | the linter says |"]
    lines += ["|---|---|---|---|---|---|"]
    for found in first:
        numbers = f"{power(found.left)} | {power(found.gain.forward)} | {power(found.gain.backward)}"
        lines.append(f"| {found.row.name} | {shown(found.row.error)} | {numbers} | {told(found)} |")
    lines += ["", "ReLU stands behind the addition in all of these, which the linter notes too.", ""]
    lines += comparison("Table 1", first)
    lines += ["## Table 2: placements, ResNet-110 and ResNet-164", ""]
    lines += [
        "| unit | error %, 110 | error %, 164 | straight through | the linter says (110) | the linter says (164) |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    second = {depth: [verdict(of) for of in rows] for depth, rows in TABLE_2.items()}
    for at_110, at_164 in zip(second[110], second[164], strict=True):
        errors = f"{shown(at_110.row.error)} | {shown(at_164.row.error)}"
        through = "no closed form" if at_110.path.norms else f"{100 * at_110.open:.3g} %"
        lines.append(f"| {at_110.row.name} | {errors} | {through} | {told(at_110)} | {told(at_164)} |")
    lines += ["", "*Straight through* is here the chance that no ReLU behind an addition closes the path.", ""]
    for depth, found in second.items():
        lines += comparison(f"Table 2, {depth} layers", found)
    return "\n".join(lines).rstrip() + "\n"


def comparison(of: str, verdicts: list[Verdict]) -> list[str]:
    found = ranking(verdicts)
    assert not unexplained(found), f"say why: {unexplained(found)}"
    pairs = found.agree + found.tied + len(found.otherwise)
    lines = [
        f"**Ranking, {of}.** Of {pairs} pairs of rows with different errors, the row with the lower error has the cleaner path in "
        f"{found.agree}, the paths are alike in {found.tied}, and it is the other way round in {len(found.otherwise)}.",
        "",
    ]
    left = list(found.otherwise)
    for name, why in EXPLAINED.items():
        pairs_of = [pair for pair in left if name in (pair[0].name, pair[1].name)]
        if pairs_of:
            others = [better if worse.name == name else worse for better, worse in pairs_of]
            against = "; ".join(f"{other.name} ({shown(other.error)})" for other in others)
            lines.append(f"- *{name}* against {against}. {why}")
            left = [pair for pair in left if pair not in pairs_of]
    return [*lines, ""]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
