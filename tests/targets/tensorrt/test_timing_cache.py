"""The file of a timing cache, with a configuration that is played: TensorRT for RTX keeps no times."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.targets.tensorrt.timing_cache import TimingCache


class Cache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytearray:
        return bytearray(self.data + b" and more")


class Config:
    """takes: whether it takes a cache."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.cache: Cache | None = None

    def create_timing_cache(self, data: bytes) -> Cache:
        return Cache(data)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.cache = cache
        return self.takes

    def get_timing_cache(self) -> Cache | None:
        return self.cache


@pytest.mark.parametrize("before", [None, b"times"])
def test_a_build_reads_and_keeps(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "cache"
    if before is not None:
        path.write_bytes(before)
        path.chmod(0o664)
    config = Config()
    cache = TimingCache.read(str(path))
    cache.give(config)
    cache.keep(config)
    assert path.read_bytes() == (before or b"") + b" and more"
    assert before is None or stat.S_IMODE(path.stat().st_mode) == 0o664
    assert [each.name for each in tmp_path.iterdir()] == ["cache"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"times")
    (tmp_path / "link").symlink_to("real")
    config = Config()
    cache = TimingCache.read(str(tmp_path / "link"))
    cache.give(config)
    cache.keep(config)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"times and more"


def test_one_that_is_not_taken_stays(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"junk")
    with pytest.raises(SpecError, match="is none that this TensorRT takes on this GPU"):
        TimingCache.read(str(tmp_path / "cache")).give(Config(takes=False))
    assert (tmp_path / "cache").read_bytes() == b"junk"


def test_what_cannot_be_written_is_said_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="cannot be written"):
        TimingCache.read(str(tmp_path / "nowhere" / "cache"))
    with pytest.raises(SpecError, match="cannot be read"):
        TimingCache.read(str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(SpecError, match="cannot be written"):
        TimingCache.read(str(tmp_path / "cache"))
