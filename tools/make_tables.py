"""Writes grammars/tables.json: the parse tables of grammars/resnet.lark, so that no start has to compute them.

Run it after a change of the grammar or of lark's version: `python tools/make_tables.py`. A test fails until it is done.
"""

from __future__ import annotations

import json
from pathlib import Path

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from resdsl.syntax.parser import GRAMMAR_OPTIONS, grammar_digest, grammar_text

TABLES = Path(__file__).parent.parent / "grammars" / "tables.json"


def tables() -> str:
    """The text of grammars/tables.json."""
    parser = lark.Lark(grammar_text(), **GRAMMAR_OPTIONS)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    written = {"grammar": grammar_digest(grammar_text()), "lark": lark.__version__, "data": data, "memo": memo}
    return json.dumps(written, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TABLES.write_text(tables(), encoding="utf-8")
    print(f"{TABLES.name}: {TABLES.stat().st_size:,} bytes")
