"""scikit-learn's digits, split."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.data.digits import digits

datasets = pytest.importorskip("sklearn.datasets")


def test_images_are_scikit_learns_every_fifth_of_a_class_for_testing() -> None:
    found, all_ = digits(), datasets.load_digits()
    seen: Counter[int] = Counter()
    parts: dict[bool, list[int]] = {False: [], True: []}
    for index, label in enumerate(all_.target.tolist()):
        seen[label] += 1
        parts[seen[label] % 5 == 0].append(index)
    assert (len(parts[False]), len(parts[True])) == (1442, 355)
    for split, chosen in ((found.train, parts[False]), (found.test, parts[True])):
        assert np.array_equal(split.inputs[:, 0], np.round(all_.images[chosen] * 255 / 16))
        assert split.labels.tolist() == all_.target[chosen].tolist()
    assert (found.train.inputs.dtype, found.train.inputs.max()) == (np.uint8, 255)


def test_classes_are_about_as_frequent_in_both() -> None:
    found = digits()
    assert set(np.bincount(found.test.labels).tolist()) == {34, 35, 36}
    assert np.bincount(found.train.labels).min() > 130
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
