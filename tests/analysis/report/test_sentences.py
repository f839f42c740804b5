"""Sentences about signals: they name the units that they are about, and are made from each network once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from resdsl.analysis.quantities import Lengths, Moments, Signal
from resdsl.analysis.report import comparison_pictures as comparison
from resdsl.analysis.report.ends import Ends, ends
from resdsl.analysis.report.pictures import pictures
from resdsl.analysis.report.sentences import between, of_cosine, of_ratio
from resdsl.analysis.report.text import remarks
from resdsl.figures import drawing
from resdsl.theory.path_gain import log10
from tests.analysis.made_up import made_up


def with_ratio(known: dict[int, float]) -> Signal:
    """Of ten units, where the others' input does not vary."""
    ones, stream = np.ones(10), np.zeros(10)
    for unit, value in known.items():
        stream[unit] = 1 / value
    return replace(made_up(), stream=Moments(ones, stream), branch=Moments(ones, ones))


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({0: 4, 9: 1}, "Var(F) / Var(x) falls from 4 in the first unit to 1 in the last"),
        ({1: 1, 5: 2, 8: 4}, "Var(F) / Var(x) rises from 1 in stage1.1 to 4 in stage3.1"),
        ({4: 2}, "Var(F) / Var(x) is 2 in stage2.0"),
        ({}, "Var(F) / Var(x) is nowhere finite"),
    ],
)
def test_the_ratio_is_of_the_units_that_are_named(known: dict[int, float], said: str) -> None:
    assert of_ratio(with_ratio(known)) == said


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({0: 0.5, 3: 0.1, 9: 0.9}, "Gradients of two inputs have cosine 0.5 at the first unit and 0.9 at the last"),
        ({3: 0.1, 6: 0.3}, "Gradients of two inputs have cosine 0.1 at stage1.3 and 0.3 at stage2.2"),
        ({9: 0.9}, "Gradients of two inputs have cosine 0.9 at the last"),
        ({}, "Gradients of two inputs have no cosine"),
    ],
)
def test_the_cosine_is_of_the_units_that_are_named(known: dict[int, float], said: str) -> None:
    cosine = np.full(10, np.nan)
    cosine[list(known)] = list(known.values())
    assert of_cosine(replace(made_up(), cosine=cosine)) == said


def test_between_is_of_the_networks_for_which_it_is_known() -> None:
    named = [(name, ends(made_up(factor=factor))) for name, factor in (("half", 0.5), ("cut", 0.0), ("odd", -0.5))]
    assert between(named, "closed", lambda end: end.log10_expected, is_log=True) == "closed: 0 (cut) to 9.8e-04 (half)"


@pytest.mark.parametrize(("value", "expected"), [(100.0, 2.0), (0.0, -math.inf), (math.nan, math.nan)])
def test_a_logarithm_of_nothing_is_not_one_of_what_is_unknown(value: float, expected: float) -> None:
    assert log10(value) == pytest.approx(expected, nan_ok=True)


def test_growth_is_unknown_where_the_variance_is() -> None:
    signal = made_up()
    unknown = replace(signal, output=Moments(np.ones(10), np.full(10, np.nan)))
    assert math.isnan(ends(unknown).log10_growth)


def test_the_ends_of_a_network_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Signal] = []

    def counted(signal: Signal) -> Ends:
        seen.append(signal)
        return ends(signal)

    monkeypatch.setattr(comparison, "ends", counted)
    named = [("a", made_up()), ("b", made_up(factor=1.0))]
    with drawing():
        found = comparison.comparison_pictures(named)
    assert seen == [signal for _, signal in named]
    assert found[0].meaning.startswith("2 networks before training, ")


def test_networks_of_given_weights_are_not_called_untrained() -> None:
    named = [("a", made_up()), ("b", replace(made_up(), weights="trained.safetensors"))]
    with drawing():
        assert comparison.comparison_pictures(named)[0].meaning.startswith("2 networks, over their units")


def test_no_lengths_are_drawn_or_told_of_no_gradient() -> None:
    unknown = np.full(1, np.nan)
    signal = replace(made_up(remarks=("Nothing arrives.",)), lengths=Lengths(unknown, unknown, 0.0))
    with drawing():
        assert [picture.name for picture in pictures(signal)] == ["signal", "ratio", "gradient", "cosine"]
        comparison.comparison_pictures([("a", signal), ("b", made_up())])
    said = remarks(signal)
    assert said[-1] == "Nothing arrives."
    assert not any("branches on average" in each for each in said)
