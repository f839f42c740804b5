"""The learning rate at every iteration, as the papers and the released code say; recipes as literal numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.recipe import CIFAR, CIFAR_TORCH, DIGITS, IMAGENET, RECIPES, Crop, Decay, Normalise, Unit
from resdsl.train.schedule import schedule

CIFAR_IMAGES, IMAGENET_IMAGES = 50_000, 1_281_167


def test_cifar_at_every_iteration() -> None:
    """He et al. 2016, appendix: 0.1, a tenth after 32k and 48k iterations, and 0.01 in the first 400."""
    expected = [0.01] * 400 + [0.1] * 31_600 + [0.01] * 16_000 + [0.001] * 16_000
    made = schedule(CIFAR, CIFAR_IMAGES)
    assert made.iterations == 64_000
    assert [made.rate(iteration) for iteration in range(64_000)] == pytest.approx(expected, rel=1e-12)


def test_cifar_torch_at_every_epoch() -> None:
    """The released code counts epochs from 1; an epoch has 781 full batches of 64."""
    made = schedule(CIFAR_TORCH, CIFAR_IMAGES)
    assert made.per_epoch == 781
    assert made.iterations == 200 * 781
    for epoch in range(1, 200 + 1):
        expected = 0.1
        if epoch > 80:
            expected = 0.01
        if epoch > 121:
            expected = 0.001
        first, last = (epoch - 1) * 781, epoch * 781 - 1
        assert (made.rate(first), made.rate(last)) == pytest.approx((expected, expected), rel=1e-12), epoch


def test_imagenet_at_every_epoch() -> None:
    """He et al. 2016, section 5: 0.1, divided by 10 after 30 and 60 of 90 epochs."""
    made = schedule(IMAGENET, IMAGENET_IMAGES)
    assert made.per_epoch == 5_004
    assert made.iterations == 90 * 5_004
    rates = [(made.rate(epoch * 5_004), made.rate((epoch + 1) * 5_004 - 1)) for epoch in range(90)]
    expected = [0.1] * 30 + [0.01] * 30 + [0.001] * 30
    assert [first for first, _ in rates] == pytest.approx(expected, rel=1e-12)
    assert [last for _, last in rates] == pytest.approx(expected, rel=1e-12)


def test_digits_at_every_iteration() -> None:
    made = schedule(DIGITS, 1_500)
    expected = [0.01] * 20 + [0.1] * 180 + [0.01] * 100 + [0.001] * 100
    assert [made.rate(iteration) for iteration in range(made.iterations)] == pytest.approx(expected, rel=1e-12)


def test_the_recipes_are_those_of_their_sources() -> None:
    found = {
        name: (each.batch, each.momentum, each.nesterov, each.weight_decay, each.pad, each.flip, each.rate, each.factor)
        for name, each in RECIPES.items()
    }
    assert found == {
        "cifar": (128, 0.9, False, 1e-4, 4, True, 0.1, 0.1),
        "cifar-torch": (64, 0.9, True, 1e-4, 4, True, 0.1, 0.1),
        "imagenet": (256, 0.9, False, 1e-4, 0, True, 0.1, 0.1),
        "digits": (64, 0.9, False, 1e-4, 1, False, 0.1, 0.1),
    }
    assert {name: (each.warmup, each.unit, each.length, each.steps) for name, each in RECIPES.items()} == {
        "cifar": (400, Unit.ITERATIONS, 64_000, (32_000, 48_000)),
        "cifar-torch": (0, Unit.EPOCHS, 200, (80, 121)),
        "imagenet": (0, Unit.EPOCHS, 90, (30, 60)),
        "digits": (20, Unit.ITERATIONS, 400, (200, 300)),
    }
    assert {each.decay for each in RECIPES.values()} == {Decay.ALL}
    assert {name: each.normalise for name, each in RECIPES.items()} == {
        "cifar": Normalise.PIXEL,
        "cifar-torch": Normalise.CHANNEL,
        "imagenet": Normalise.CHANNEL,
        "digits": Normalise.CHANNEL,
    }
    assert IMAGENET.crop is Crop.SCALE


def test_a_warm_up_beyond_the_first_step_stays_a_warm_up() -> None:
    made = schedule(replace(DIGITS, warmup=250), 1_500)
    assert (made.rate(249), made.rate(250)) == pytest.approx((0.01, 0.01))
    assert made.rate(300) == pytest.approx(0.001)


@pytest.mark.parametrize(("samples", "batches"), [(64, 1), (127, 1), (128, 2)])
def test_an_epoch_has_full_batches_alone(samples: int, batches: int) -> None:
    assert schedule(DIGITS, samples).per_epoch == batches


def test_fewer_samples_than_a_batch_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        schedule(DIGITS, 63)
    assert "63 samples, fewer than one batch of 64" in str(caught.value)
    assert "--batch 31" in str(caught.value)
