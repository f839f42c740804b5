"""Specs that would take forever, or all memory, or the whole stack; and specs with random damage."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import textwrap

import pytest

from resdsl.spec import Options
from tests.bad_input import SPECS, U, case, errors, lets, net, spec, unit, units_in_units, unmark, verify
from tests.bad_input import quickly as quickly

DEEP = "more than 100 deep"
LIMITS = [
    case(
        "repeated units",
        net("stage ⟦1000000000 * u⟧", before=U),
        "too-many-units",
        "1,000,000,000 units",
        "--max-units",
    ),
    case(
        "repeated chain",
        net("stage ⟦1000000000 * (conv(3x3, 3) -> bn)⟧"),
        "too-many-units",
        "2,000,000,000",
        "--max-units",
    ),
    case("repeated operator", net("head ⟦1000000000 * relu⟧"), "too-many-units", "1,000,000,000"),
    case(
        "repetition of repetitions", net("stage ⟦1000 * (1000 * (1000 * u))⟧", before=U), "too-many-units", "1,000,000"
    ),
    case(
        "units of units of units",
        net(
            "stage 1000 * c",
            before=U + "unit b { branch 1000 * u shortcut identity }\nunit c { branch ⟦1000 * b⟧ shortcut identity }",
        ),
        "too-many-units",
        "1,001,000 units",
        "in c at x.resnet:",
    ),
    case(
        "--max-units",
        net("stage 4 * u\n    stage ⟦4 * u⟧", before=U),
        "too-many-units",
        "8 units, and a network may have 7",
        options=Options(max_units=7),
    ),
    case("doubled chain", net("head a40", before=lets(40, "relu", "{} -> {}")), "too-many-units", "operators or units"),
    case("doubled concat", net("head a40", before=lets(40, "relu", "concat({}, {})")), "too-many-units"),
    case(
        "doubled argument",
        net("stage a40", before="unit v(x, y) { branch x shortcut none }\n" + lets(40, "relu", "v({}, {})")),
        "too-many-units",
    ),
    case(
        "repetition that waits",
        net("head 1000 * a", before="let a = (count + 1000) * relu"),
        "too-many-units",
        "1,000,000",
    ),
    case(
        "doubled choice",
        unit("branch a40\n    shortcut none")
        + lets(40, "relu", "({} if index > 0 else relu) -> ({} if index > 0 else relu)"),
        "too-many-units",
    ),
    case(
        "placement of a long chain",
        unit("placement at(mid = 1000 * relu)\n    branch ⟦1000 * conv(1x1, 3)⟧\n    shortcut none"),
        "too-many-units",
        "1,001,000",
    ),
    case(
        "norm of a long chain",
        unit("norm 50000 * relu\n    branch 100 * norm\n    shortcut none"),
        "too-many-units",
        "400,001",
    ),
    case("parentheses", net(f"head {'(' * 99}⟦(⟧{'(' * 100}relu{')' * 200}"), "nesting-too-deep", DEEP, "`let`"),
    case("calls", net(f"head {'concat(' * 200}relu{')' * 200}"), "nesting-too-deep", DEEP),
    case("braces", spec("{" * 100_000), "nesting-too-deep", DEEP),
    case("not", net(f"head relu if {'not ' * 20_000}true else bn"), "nesting-too-deep", DEEP),
    case("minus", net(f"head scale({'- ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case("if", net(f"head {'relu if false else ' * 5000}bn"), "nesting-too-deep", DEEP),
    case("plus", net(f"head scale({'1 + ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case("powers", net(f"head scale({'1 ** ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case(
        "parentheses in a message",
        net(f'assert false, "{{{"(" * 200}1{")" * 200}}}"'),
        "syntax",
        "in a message holds no value",
    ),
    case(
        "chains in arguments", net(f"head {'concat(' * 33}relu{')' * 33}"), "nesting-too-deep", "32 deep in arguments"
    ),
    case(
        "units in units",
        net("stage v0", before=units_in_units(40)),
        "nesting-too-deep",
        "nested more than 32 deep",
        "in v31 at",
        "… 27 more …",
        "in stage 1 of n",
    ),
    case("values of values", net("head scale(a1000)", before=lets(1000, "1", "{} + 1")), "nesting-too-deep", DEEP),
    case("chains of chains", net("head a1000", before=lets(1000, "relu", "partial(1.0, {})")), "nesting-too-deep"),
    case(
        "units of units by value",
        net("stage a1000", before="unit v(x) { branch x shortcut none }\n" + lets(1000, "relu", "v({})")),
        "nesting-too-deep",
    ),
    case(
        "values that wait",
        unit("branch scale(a1000)\n    shortcut none") + lets(1000, "index", "{} + {}"),
        "nesting-too-deep",
        DEEP,
    ),
    case(
        "aliases",
        spec("network a0 { input 10 }", *(f"network a{i + 1} = a{i}" for i in range(51))),
        "nesting-too-deep",
        "more than 50",
    ),
    case("source", "resnet 1\n#" + "x" * 256 * 1024, "source-too-large", "262,144"),
    case(
        "source of multibyte characters", "resnet 1\n#" + "€" * 90_000, "source-too-large", "270,010 bytes", "`import`"
    ),
    case(
        "long stride search",
        unit(
            "branch conv(3x3, 4, 2) -> conv(1x3, 4, padding = 0)\n    shortcut ⟦conv(1x1)⟧", input="3x16000000x16000001"
        ),
        "shape",
        "no stride leads from",
    ),
    case(
        "ring of units",
        spec(*(f"unit a{i} {{ branch a{(i + 1) % 1000} shortcut identity }}" for i in range(1000))),
        "recursive-unit",
        "a0 -> a1",
        "… -> a0",
    ),
]


@pytest.mark.parametrize(
    ("marked", "code", "words", "options"),
    LIMITS,
)
def test_beyond_a_limit(marked: str, code: str, words: tuple[str, ...], options: Options | None) -> None:
    verify(marked, code, words, options)


NEAR_THE_LIMITS = {
    "calls": net("stage " + "v(" * 31 + "relu" + ")" * 31, before="unit v(x) { branch x shortcut none }"),
    "chains": net("head " + "concat(relu, " * 31 + "relu" + ")" * 31),
    "placements": net("head " + "at(" * 48 + "relu" + ")" * 48),
    "choices": net("head " + "relu if false else " * 95 + "relu"),
    "values": net("head a49", before=lets(49, "relu", "(relu -> {})")),
    "units": spec(
        *(f"unit v{i} {{ branch concat(partial(1.0, v{i + 1}), relu) shortcut none }}" for i in range(10)),
        f"unit v10 {{ branch dropout({'(' * 90}index * 0{')' * 90}) shortcut identity }}",
        "network n { input 3x8x8 stage 2 * v0 }",
    ),
    "values that wait": unit("branch a40\n    shortcut none") + lets(40, "relu", "relu -> ({} if index > 0 else relu)"),
}


@pytest.mark.parametrize("text", NEAR_THE_LIMITS.values(), ids=NEAR_THE_LIMITS.keys())
def test_the_stack_is_deep_enough(text: str) -> None:
    """Also for a caller who has used up a part of it."""

    def check(frames: int) -> list[str]:
        return check(frames - 1) if frames else [found.code for found in errors(text)]

    assert check(200) in ([], ["wrong-value"], ["shape"])


# Blow-ups and random damage.


def test_repetition_takes_no_memory() -> None:
    """Within 1 GiB of address space and a few seconds, imports included."""
    program = textwrap.dedent(
        """
        import resource, sys, time
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        from resdsl import api
        start = time.perf_counter()
        for text in sys.stdin.read().split("=====\\n"):
            codes = sorted({found.code for found in api.check(text)})
            assert codes in (["too-many-units"], ["nesting-too-deep"]), (codes, text[:200])
        assert time.perf_counter() - start < 30
        print("done")
        """
    )
    names = ("repeated", "repetition", "units of units of units", "doubled", "placement of", "values", "braces")
    texts = [
        unmark(str(parameter.values[0]))[0]
        for parameter in LIMITS
        if parameter.id is not None and str(parameter.id).startswith(names)
    ]
    assert len(texts) > 10
    result = subprocess.run(
        [sys.executable, "-c", program],
        input="=====\n".join(texts),
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


TOKENS = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*|\w+|->|\*\*|//|[<>=!]=|\s+|.')
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "16",
    "100000",
    "999999999",
    "0.5",
    "1.5",
    "1e300",
    "-1",
    "index",
    "count",
    "position",
    "true",
    "n",
)
SIZES = ("1x1", "3x3", "2x2", "0x0", "3x16x16", "99999x99999")
VALUES = (
    "relu",
    "identity",
    "none",
    "norm",
    "act",
    "pad",
    "conv(1x1)",
    "conv(3x3, 16)",
    "concat(identity, relu)",
    "avgpool",
    "partial(0.5, relu)",
    "he",
    "post",
    "post.mid",
    "at(mid = norm)",
    "input",
    "activated",
    "gate(index)",
    "se(4)",
    "scale(0.5, branch = 0.5)",
    "dropout(index / count)",
    "(relu if index > 1 else identity)",
    "2 * (relu -> bn)",
    "count * relu",
    "3 * bottleneck(16) first(stride = 2)",
    "linear(7)",
    "1",
    "3x3",
    "true",
)
JUNK = (
    "{",
    "}",
    "(",
    ")",
    ",",
    "=",
    "->",
    "*",
    "if",
    "else",
    "first",
    "from",
    "é",
    "\t",
    "\n",
    "#",
    '"',
    '"""',
    "$",
    "\x00",
    "let",
    "assert",
)


def damaged(rng: random.Random, text: str) -> str:
    """The text with a few of its words changed: mostly for others of their kind."""
    words = TOKENS.findall(text)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        at = rng.randrange(2, len(words))
        word = words[at]
        if rng.random() < 0.3:
            words[at] = rng.choice((rng.choice(JUNK), "", word + word, rng.choice(words)))
        elif re.fullmatch(r"\d+x[\dx]+", word):
            words[at] = rng.choice(SIZES)
        elif word[:1].isdigit():
            words[at] = rng.choice(NUMBERS)
        elif re.fullmatch(r"[a-z]\w*", word):
            words[at] = rng.choice(VALUES)
        else:
            lines = "".join(words).split("\n")
            line, at = lines.pop(rng.randrange(1, len(lines))), rng.randrange(1, len(lines))
            lines = [*lines[:at], *[line] * rng.randrange(3), *lines[at:]]
            words = TOKENS.findall("\n".join(lines))
    return "".join(words)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_specs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each either builds or says what is wrong."""
    monkeypatch.chdir(SPECS)
    rng = random.Random(seed)
    texts = [path.read_text().replace("111", "5") for path in sorted(SPECS.glob("*.resnet"))]
    for _ in range(10):
        text = damaged(rng, rng.choice(texts))
        try:
            errors(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}:\n{text}") from error
