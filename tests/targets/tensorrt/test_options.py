"""What an engine cannot be asked to be."""

from __future__ import annotations

from typing import Any

import pytest

from resdsl.diagnostics import SpecError
from resdsl.targets.tensorrt.options import MOST_BATCH, MOST_WORKSPACE, Batch, Builder, EngineOptions, Hardware, Via


def test_what_there_is() -> None:
    assert str(Batch(1, 8, MOST_BATCH)) == "1:8:65536"
    options = EngineOptions(
        builder=Builder.RTX,
        via=Via.TORCH,
        batch=Batch(2, 2, 2),
        compute_capabilities=("8.9", "12.0"),
        hardware=Hardware.AMPERE_PLUS,
        workspace=MOST_WORKSPACE,
        level=5,
    )
    assert options.batch.best == 2


@pytest.mark.parametrize("sizes", [(0, 1, 2), (4, 2, 8), (1, 8, 4), (1, 8, MOST_BATCH + 1), (1.0, 2, 3), (True, 2, 3)])
def test_batches_that_there_are_not(sizes: tuple[Any, Any, Any]) -> None:
    with pytest.raises(SpecError, match=f"there is no batch {':'.join(map(str, sizes))}"):
        Batch(*sizes)


@pytest.mark.parametrize(
    "given",
    [
        {"builder": "rtx"},
        {"via": "torch"},
        {"batch": (1, 2, 3)},
        {"batch": None},
        {"hardware": "same"},
        {"compute_capabilities": ("89",)},
        {"compute_capabilities": "8.9"},
        {"compute_capabilities": (8.9,)},
        {"workspace": 0},
        {"workspace": -1},
        {"workspace": MOST_WORKSPACE + 1},
        {"level": 6},
        {"level": -1},
    ],
    ids=str,
)
def test_values_that_there_are_not(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(SpecError, match=f"{name} cannot be "):
        EngineOptions(**given)
