"""The order of samples: each once an epoch, and the same whenever it is asked for."""

from __future__ import annotations

import numpy as np

from resdsl.train.data.order import Stream, epoch_order, generator


def test_each_sample_once() -> None:
    assert np.array_equal(np.sort(epoch_order(1000, 3, 7)), np.arange(1000))


def test_the_same_when_asked_again() -> None:
    assert np.array_equal(epoch_order(1000, 3, 7), epoch_order(1000, 3, 7))


def test_epochs_and_seeds_differ() -> None:
    orders = [epoch_order(1000, seed, epoch) for seed in range(4) for epoch in range(4)]
    for index, one in enumerate(orders):
        for other in orders[:index]:
            assert (one == other).mean() < 0.05


def test_streams_are_independent() -> None:
    numbers = np.stack([generator(5, stream, 2).standard_normal(4000) for stream in Stream])
    assert np.abs(np.corrcoef(numbers) - np.eye(len(Stream))).max() < 0.1


def test_places_of_a_run_are_not_confused() -> None:
    """numpy takes zeros at the end for none, so an epoch's numbers are those of its sample 0: nothing draws both."""
    per_sample = [(Stream.AUGMENT, epoch, index) for epoch in range(20) for index in range(20)]
    per_epoch = [(Stream.ORDER, epoch) for epoch in range(20)]
    per_rank = [(Stream.NETWORK, iteration, rank) for iteration in range(20) for rank in range(4)]
    places = per_sample + per_epoch + per_rank
    assert len({int(generator(1, *place).integers(2**62)) for place in places}) == len(places)


def test_numpy_draws_what_it_drew() -> None:
    """It may change this in a later version. Runs that are resumed under that one would then see other batches than they
    would have: to be said in their metadata, not only here.
    """
    assert epoch_order(8, 0, 0).tolist() == [2, 4, 3, 6, 5, 0, 1, 7]
    assert epoch_order(8, 1, 2).tolist() == [7, 3, 1, 5, 2, 0, 6, 4]
