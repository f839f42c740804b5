"""The grammar and the packaged specs are found, installed or beside the package."""

from __future__ import annotations

import pytest

from resdsl import _packaged
from tests.networks import SPECS


@pytest.mark.parametrize(("name", "file"), [("specs", "preact1001.resnet"), ("grammars", "resnet.lark")])
def test_folders(monkeypatch: pytest.MonkeyPatch, name: str, file: str) -> None:
    assert (_packaged.packaged(name) / file).is_file()
    monkeypatch.setattr(_packaged, "find_spec", lambda _: None)  # a checkout that shadows an installed package
    assert _packaged.packaged(name) == SPECS.parent / name
    assert (_packaged.packaged(name) / file).is_file()
