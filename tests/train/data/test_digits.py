"""scikit-learn's digits, split."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.data.digits import digits

datasets = pytest.importorskip("sklearn.datasets")


def test_images_are_scikit_learns() -> None:
    found, all_ = digits(), datasets.load_digits()
    assert (len(found.train), len(found.test)) == (1438, 359)
    assert np.array_equal(found.test.inputs[:, 0], np.round(all_.images[4::5] * 255 / 16))
    assert found.test.labels.tolist() == all_.target[4::5].tolist()
    others = np.arange(len(all_.target)) % 5 != 4
    assert np.array_equal(found.train.inputs[:, 0], np.round(all_.images[others] * 255 / 16))
    assert found.train.labels.tolist() == all_.target[others].tolist()
    assert (found.train.inputs.dtype, found.train.inputs.max()) == (np.uint8, 255)


def test_all_classes_are_in_both() -> None:
    found = digits()
    for split in (found.train, found.test):
        assert np.bincount(split.labels, minlength=10).min() > 20
    assert found.classes == tuple("0123456789")


class Absent:
    """Finds scikit-learn nowhere, as where it is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_scikit_learn_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(SpecError, match="not installed") as caught:
        digits()
    assert caught.value.diagnostics[0].code == "missing-library"
