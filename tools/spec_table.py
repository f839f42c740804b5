"""Writes specs/README.md: every network of specs/, its source, size, published error, and what it was held equal to.

`python tools/spec_table.py`. Sources and errors are read from the comment behind `network NAME`, `# SOURCE: ERROR`; peers and
references from the tests that hold the networks equal to them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from resdsl.network.costs import summarise
from resdsl.spec import Parameter, build, open_spec

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "specs"
PAGE = SPECS / "README.md"

INTRODUCTION = """# The networks

Each file declares a family of networks; what they share is in `units/`. They come with the package: on the command line
`std/NAME` is `NAME.resnet` of this folder, `resdsl show std/ror --network ror3_110`. What implementations differ in, and which
parameter gives which, is in the docstrings.

- *Published error*: top-1 in %, of ImageNet at 224x224 or CIFAR-10 unless it says otherwise; "fail" is above 20 %.
- *Held equal to*: models of these libraries (`tests/peers/`), weights carried over by the names that `resdsl weights convert` knows, in
  outputs, loss, gradients and recorded statistics; in brackets the parameters that give the library's version where it is not
  the spec's own. *reference* is a module written in plain PyTorch for the tests (`tests/references/`). Networks for ImageNet are
  compared on smaller images; those whose name ends in `_320` are the ones above them on larger images.
- MACs are multiply-accumulates of convolutions and linear layers for one input.

Written by `tools/spec_table.py`.
"""


@dataclass(frozen=True)
class Origin:
    """Where a network comes from, and the error published for it; empty if none is."""

    source: str
    error: str


def origin(text: str, start: int) -> Origin:
    """What the comment on the line of `start` says."""
    line = text[start:].partition("\n")[0]
    _, mark, comment = line.partition("#")
    if not mark:
        raise SystemExit(f"no source behind: {line}")
    source, _, error = comment.strip().rpartition(": ")
    return Origin(source or error, error if source else "")


def equals() -> dict[tuple[str, str], list[str]]:
    """(file, network) -> what the tests hold it equal to."""
    sys.path.insert(0, str(ROOT))
    from tests.peers.cases import CASES
    from tests.test_references import ROWS

    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for case in CASES:
        model = case.model.removesuffix("_cifar10")
        settings = ", ".join(f"{key}={_written(value)}" for key, value in case.parameters.items() if key != "image")
        options = ", ".join(f"{key}={value}" for key, value in case.options.items())
        called = f"{case.library} {model.replace('.get_', ': ')}{f'({options})' if options else ''}"
        outputs = "" if case.trains else ", outputs only"
        found[case.file, case.network].append(f"{called}{f' (`{settings}`)' if settings else ''}{outputs}")
    for row in ROWS:
        file, network = row.values[:2]
        found[str(file), str(network)].append("reference")
    return found


def _written(value: Parameter) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def page() -> str:
    """The text of specs/README.md."""
    held = equals()
    parts = [INTRODUCTION]
    for path in sorted(SPECS.glob("*.resnet")):
        parts.append(f"\n## [{path.stem}]({path.name})\n")
        parts.append("| network | source | parameters | MACs | published error | held equal to |")
        parts.append("|---|---|---|---|---|---|")
        for declared in open_spec(path).networks():
            span = declared.node.name.span
            about = origin(span.source.text, span.start)
            costs = summarise(build(path, declared.name)).costs
            peers = ", ".join(dict.fromkeys(held[path.stem, declared.name]))
            parts.append(
                f"| `{declared.name}` | {about.source} | {costs.parameters:,} | {costs.macs:,} | {about.error} | {peers} |"
            )
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
