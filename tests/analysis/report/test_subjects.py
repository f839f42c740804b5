"""What a command line names."""

from __future__ import annotations

from pathlib import Path

from resdsl.analysis.report.subjects import Subject, distinct, named_subject


def test_specs_with_networks(tmp_path: Path) -> None:
    assert named_subject("std/resnet110:scale_half") == Subject("scale_half", "std/resnet110", "scale_half")
    assert named_subject("mine.resnet") == Subject("mine.resnet", "mine.resnet")
    odd = tmp_path / "a:b.resnet"
    odd.write_text("")
    assert named_subject(str(odd)).network is None


def test_names_tell_networks_apart() -> None:
    given = [named_subject(text) for text in ("a:n", "b:n", "b:m", "c")]
    assert [subject.name for subject in distinct(given)] == ["a:n", "b:n", "m", "c"]
