"""Batches from the device's memory, held equal to loops over single pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from resdsl.recorded import Recorded
from resdsl.train.data.batches import Batch, Resident, Share
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.data.normalisation import normalisation
from resdsl.train.data.order import Stream, epoch_order, generator
from resdsl.train.recipe import DIGITS, Normalise, Recipe

SAMPLES, TESTED, SEED = 43, 13, 5
SMALL = replace(DIGITS, batch=8, pad=2, flip=True, normalise=Normalise.CHANNEL)
CPU = torch.device("cpu")


def images(channels: int = 3, height: int = 5, width: int = 6, *, floats: bool = False) -> Arrays:
    draw = np.random.default_rng(channels)
    splits = []
    for count in (SAMPLES, TESTED):
        inputs = draw.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
        inputs[:, 0, 0, 0] = 200  # means that differ from pixel to pixel
        splits.append(Split(inputs.astype(np.float32) if floats else inputs, draw.integers(0, 4, count)))
    return Arrays("x", *splits, tuple("abcd"))


def resident(
    data: Arrays,
    recipe: Recipe = SMALL,
    share: Share = Share(),
    seed: int = SEED,
    layout: torch.memory_format = torch.contiguous_format,
) -> Resident:
    by = normalisation(data, recipe.normalise)
    return Resident(data, recipe, by, seed=seed, device=CPU, layout=layout, share=share)


def by_hand(pixels: np.ndarray, by: Recorded, down: int, right: int, flipped: bool, pad: int) -> np.ndarray:
    """One sample, (channels, height, width): normalised, zeros around it, a crop, its mirror image."""
    channels, height, width = pixels.shape
    values = pixels.astype(np.float64) / (255 if pixels.dtype == np.uint8 else 1)
    mean, std = (np.broadcast_to(part, pixels.shape).astype(np.float64) for part in (by.mean, by.std))
    padded = np.zeros((channels, height + 2 * pad, width + 2 * pad))
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                padded[c, y + pad, x + pad] = (values[c, y, x] - mean[c, y, x]) / std[c, y, x]
    result = np.zeros(pixels.shape)
    for y in range(height):
        for x in range(width):
            result[:, y, width - 1 - x if flipped else x] = padded[:, y + down, x + right]
    return result


def drawn(recipe: Recipe, epoch: int) -> list[tuple[int, int, bool]]:
    """How far the crops of an epoch's places stand from the padded image's corner, and which are mirrored."""
    draw = generator(SEED, Stream.AUGMENT, epoch)
    down, right = draw.integers(0, 2 * recipe.pad + 1, (2, SAMPLES))
    flipped = draw.integers(0, 2, SAMPLES)
    return [(int(d), int(r), bool(f) and recipe.flip) for d, r, f in zip(down, right, flipped, strict=True)]


@pytest.mark.parametrize("normalise", Normalise)
@pytest.mark.parametrize(("pad", "flip"), [(2, True), (2, False), (0, True), (0, False), (7, True)])
@pytest.mark.parametrize("floats", [False, True])
def test_batches_are_those_of_a_loop_over_pixels(normalise: Normalise, pad: int, flip: bool, floats: bool) -> None:
    recipe = replace(SMALL, normalise=normalise, pad=pad, flip=flip)
    data = images(floats=floats)
    by = normalisation(data, normalise)
    order, shifts = epoch_order(SAMPLES, SEED, 1), drawn(recipe, 1)
    batches = list(resident(data, recipe).training(1))
    assert len(batches) == SAMPLES // recipe.batch
    for number, batch in enumerate(batches):
        for row in range(recipe.batch):
            place = number * recipe.batch + row
            sample = order[place]
            wanted = by_hand(data.train.inputs[sample], by, *shifts[place], pad)
            np.testing.assert_allclose(batch.inputs[row].numpy(), wanted, atol=1e-4 if floats else 2e-6)
            assert batch.labels[row] == data.train.labels[sample]
        assert batch.valid == recipe.batch


@pytest.mark.parametrize(("height", "width"), [(1, 6), (6, 1), (1, 1)])
def test_the_mean_moves_with_the_crop_in_thin_images(height: int, width: int) -> None:
    recipe = replace(SMALL, normalise=Normalise.PIXEL)
    data = images(height=height, width=width)
    by = normalisation(data, Normalise.PIXEL)
    order, shifts = epoch_order(SAMPLES, SEED, 0), drawn(recipe, 0)
    found = torch.cat([batch.inputs for batch in resident(data, recipe).training(0)])
    wanted = [by_hand(data.train.inputs[order[place]], by, *shifts[place], 2) for place in range(len(found))]
    np.testing.assert_allclose(found.numpy(), np.stack(wanted), atol=2e-6)


def test_all_shifts_and_both_sides_occur() -> None:
    shifts = [shift for epoch in range(20) for shift in drawn(SMALL, epoch)]
    assert len(set(shifts)) == 5 * 5 * 2


def test_vectors_are_normalised_alone() -> None:
    floats = np.random.default_rng(0).normal(3, 2, (SAMPLES, 7)).astype(np.float32)
    labels = np.arange(SAMPLES) % 4
    data = Arrays("v", Split(floats, labels), Split(floats[:TESTED], labels[:TESTED]), tuple("abcd"))
    by = normalisation(data, Normalise.CHANNEL)
    [first, *_] = resident(data).training(0)
    chosen = epoch_order(SAMPLES, SEED, 0)[: SMALL.batch]
    np.testing.assert_allclose(first.inputs.numpy(), (floats[chosen] - by.mean) / by.std, atol=1e-5)
    assert first.inputs.is_contiguous()


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_processes_share_the_same_batches(world: int) -> None:
    whole = list(resident(images()).training(2))
    shared = [list(resident(images(), share=Share(rank, world)).training(2)) for rank in range(world)]
    for number, batch in enumerate(whole):
        parts = [batches[number] for batches in shared]
        assert all(part.valid == SMALL.batch // world for part in parts)
        assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)
        assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)


def numbered() -> Arrays:
    """Each sample is its own number, in the training and in the test set."""
    splits = (
        Split(np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1), np.arange(count)) for count in (SAMPLES, TESTED)
    )
    return Arrays("n", *splits, tuple(map(str, range(SAMPLES))))


PLAIN = replace(SMALL, normalise=Normalise.NONE, pad=0, flip=False)


def numbers(batches: list[Batch]) -> list[int]:
    inputs = [int(x) for batch in batches for x in batch.inputs[: batch.valid].ravel()]
    assert inputs == [int(x) for batch in batches for x in batch.labels[: batch.valid]], "labels go with inputs"
    return inputs


def test_each_sample_at_most_once_an_epoch() -> None:
    batches = resident(numbered(), PLAIN)
    left_out = []
    for epoch in range(6):
        seen = numbers(list(batches.training(epoch)))
        assert len(seen) == len(set(seen)) == SAMPLES // PLAIN.batch * PLAIN.batch
        left_out.append(frozenset(range(SAMPLES)) - set(seen))
    assert len(set(left_out)) == 6, "others are left out in each"


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_each_test_sample_once_over_all_processes(world: int) -> None:
    shared = [list(resident(numbered(), PLAIN, Share(rank, world)).evaluation()) for rank in range(world)]
    assert sorted(number for batches in shared for number in numbers(batches)) == list(range(TESTED))
    assert {len(batch.inputs) for batches in shared for batch in batches} == {PLAIN.batch // world}


def test_test_samples_are_as_they_are() -> None:
    data = images()
    by = normalisation(data, Normalise.CHANNEL)
    found = torch.cat([batch.inputs[: batch.valid] for batch in resident(data).evaluation()])
    wanted = [by_hand(pixels, by, 0, 0, False, 0) for pixels in data.test.inputs]
    np.testing.assert_allclose(found.numpy(), np.stack(wanted), atol=2e-6)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.inputs, b.inputs) and torch.equal(a.labels, b.labels) for a, b in zip(one, other, strict=True)
    )


def test_asking_twice_and_from_the_middle() -> None:
    batches = resident(images())
    whole = list(batches.training(3))
    assert same(whole, list(batches.training(3)))
    for start in range(len(whole) + 2):
        assert same(whole[start:], list(batches.training(3, start)))
        assert same(whole[start:], list(resident(images()).training(3, start))), "in another process, as after a stop"
    assert not same(whole, list(batches.training(4)))
    assert not same(whole, list(resident(images(), seed=6).training(3)))


def test_iterators_do_not_disturb_each_other() -> None:
    batches = resident(images())
    whole, mixed = list(batches.training(0)), []
    for batch in batches.training(0):
        mixed.append(batch)
        assert len(list(batches.evaluation())) == 2
        next(batches.training(1))
    assert same(whole, mixed)


@pytest.mark.parametrize(
    ("layout", "strides"), [(torch.contiguous_format, (30, 6, 1)), (torch.channels_last, (1, 18, 3))]
)
@pytest.mark.parametrize("normalise", Normalise)
@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("pad", [0, 2])
def test_batches_lie_in_memory_as_asked_for(
    pad: int, floats: bool, normalise: Normalise, layout: torch.memory_format, strides: tuple[int, ...]
) -> None:
    recipe, data = replace(SMALL, pad=pad, flip=pad > 0, normalise=normalise), images(floats=floats)
    batches, others = resident(data, recipe, layout=layout), resident(data, recipe)
    assert same([*batches.training(0), *batches.evaluation()], [*others.training(0), *others.evaluation()])
    for batch in [*batches.training(0), *batches.evaluation()]:
        assert batch.inputs.shape[1:] == (3, 5, 6)
        assert batch.inputs.stride() == (90, *strides)
        assert batch.inputs.dtype == torch.float32
        assert batch.labels.dtype == torch.int64


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pad", [0, 2])
def test_of_one_channel_convolutions_know_the_layout(pad: int, layout: torch.memory_format) -> None:
    """Both layouts are the same in memory then, and strides tell which one is meant."""
    kernels = torch.ones(4, 1, 3, 3).contiguous(memory_format=layout)
    for batch in resident(images(1), replace(SMALL, pad=pad), layout=layout).training(0):
        assert torch.conv2d(batch.inputs, kernels).is_contiguous(memory_format=layout)


def test_vectors_have_one_layout() -> None:
    draw = np.random.default_rng(0)
    split = Split(draw.random((16, 5), np.float32), draw.integers(0, 4, 16))
    vectors = Arrays("v", split, split, tuple("abcd"))
    found = resident(vectors, replace(PLAIN, normalise=Normalise.CHANNEL), layout=torch.channels_last)
    assert {batch.inputs.stride() for batch in [*found.training(0), *found.evaluation()]} == {(5, 1)}


def test_other_precisions() -> None:
    data = images()
    double = Resident(data, SMALL, normalisation(data, Normalise.CHANNEL), seed=SEED, device=CPU, dtype=torch.float64)
    for one, other in zip(double.training(0), resident(data).training(0), strict=True):
        assert one.inputs.dtype == torch.float64
        np.testing.assert_allclose(one.inputs.numpy(), other.inputs.numpy(), atol=2e-6)
