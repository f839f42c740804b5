"""Where inputs are cut from pictures: always inside, as large as drawn, everywhere in the picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from resdsl.train.data.cuts import AREA, EVALUATED, RATIO, SHORTER, SIZE, Cut, Extent, centred, covering, drawn
from resdsl.train.recipe import Crop

PICTURES = [Extent(375, 500), Extent(500, 333), Extent(64, 64), Extent(1, 1), Extent(3, 2000), Extent(4000, 37)]
WANTED = [Extent(SIZE, SIZE), Extent(32, 32), Extent(96, 160)]


def cuts(picture: Extent, wanted: Extent, crop: Crop, count: int = 200, *, flip: bool = True) -> Iterator[Cut]:
    for seed in range(count):
        yield drawn(picture, wanted, crop, flip=flip, draw=np.random.default_rng(seed))


def is_inside(cut: Cut, picture: Extent) -> bool:
    slack = 1e-6 * max(picture.height, picture.width)
    return (
        min(cut.top, cut.left) >= 0
        and min(cut.height, cut.width) > 0
        and cut.top + cut.height <= picture.height + slack
        and cut.left + cut.width <= picture.width + slack
    )


@pytest.mark.parametrize("crop", Crop)
@pytest.mark.parametrize("picture", PICTURES, ids=str)
@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_cuts_are_inside(picture: Extent, wanted: Extent, crop: Crop) -> None:
    assert all(is_inside(cut, picture) for cut in cuts(picture, wanted, crop))
    assert is_inside(centred(picture, wanted), picture)


@pytest.mark.parametrize(
    ("picture", "wanted", "shorter", "scaled"),
    [
        (Extent(375, 500), Extent(224, 224), 256, Extent(256, 341)),
        (Extent(500, 375), Extent(224, 224), 480, Extent(640, 480)),
        (Extent(100, 100), Extent(224, 224), 300, Extent(300, 300)),
        (Extent(375, 500), Extent(112, 112), 256, Extent(128, 170)),
        (Extent(375, 500), Extent(32, 32), 256, Extent(37, 49)),  # 32 * 256 / 224 = 36.57
        (Extent(300, 300), Extent(112, 224), 256, Extent(256, 256)),
        (Extent(1, 1000), Extent(224, 224), 256, Extent(256, 256_000)),
    ],
)
def test_pictures_are_scaled_to_cover(picture: Extent, wanted: Extent, shorter: int, scaled: Extent) -> None:
    assert covering(picture, wanted, shorter) == scaled


def test_scale_draws_every_shorter_side_and_every_place() -> None:
    picture, wanted = Extent(480, 480), Extent(224, 224)
    found = list(cuts(picture, wanted, Crop.SCALE, 4000))
    sides = {round(480 * 224 / cut.height) for cut in found}
    assert sides == set(range(SHORTER[0], SHORTER[1] + 1))
    assert all(cut.height == cut.width for cut in found)
    for places in ([cut.top for cut in found], [cut.left for cut in found]):
        assert min(places) == 0
        assert max(places) == pytest.approx(256, abs=2)
    assert 0.47 < np.mean([cut.flipped for cut in found]) < 0.53


def test_scale_is_in_proportion() -> None:
    """A network of half the size sees the same part of a picture, within a pixel."""
    picture = Extent(375, 500)
    for seed in range(50):
        whole, half = (
            covering(picture, Extent(size, size), int(np.random.default_rng(seed).integers(256, 481)))
            for size in (224, 112)
        )
        assert abs(whole.height / 2 - half.height) <= 0.5
        assert abs(whole.width / 2 - half.width) <= 1


def test_aspect_draws_areas_and_ratios() -> None:
    picture = Extent(600, 600)
    found = list(cuts(picture, Extent(224, 224), Crop.ASPECT, 4000))
    areas = np.array([cut.height * cut.width for cut in found]) / 600**2
    ratios = np.array([cut.width / cut.height for cut in found])
    assert AREA[0] - 0.005 < areas.min() < AREA[0] + 0.02
    assert areas.max() > 0.97
    assert RATIO[0] - 0.01 < ratios.min() < RATIO[0] + 0.01
    assert RATIO[1] - 0.01 < ratios.max() < RATIO[1] + 0.01
    assert abs(np.log(ratios).mean()) < 0.01, "wide ones are as likely as tall ones"
    assert 0.47 < np.mean([cut.flipped for cut in found]) < 0.53


def test_aspect_takes_the_centre_where_nothing_drawn_fits() -> None:
    assert set(cuts(Extent(10, 1000), Extent(224, 224), Crop.ASPECT, flip=False)) == {Cut(0, 495, 10, 10)}
    assert set(cuts(Extent(1000, 10), Extent(112, 224), Crop.ASPECT, flip=False)) == {Cut(497.5, 0, 5, 10)}


@pytest.mark.parametrize("crop", Crop)
def test_without_flip_the_same_cuts_are_not_mirrored(crop: Crop) -> None:
    assert not any(cut.flipped for cut in cuts(Extent(300, 400), Extent(224, 224), crop, flip=False))


def test_the_centre() -> None:
    cut = centred(Extent(512, 1024), Extent(224, 224))
    assert (cut.top, cut.left, cut.height, cut.width) == (32, 288, 448, 448)
    assert EVALUATED / SIZE == 512 / 448
