"""Computes one point."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.descent import descend, gradient
from resdsl.analysis.demystify.linear_hessian import linear_hessian
from resdsl.analysis.demystify.loss import Samples, Statistics, linear_loss, sample_loss
from resdsl.analysis.demystify.nets import Net, Relu, initial, outputs
from resdsl.analysis.demystify.points import Course, Ends, Errors, Initial, Parted, Point, Trained, Value, Watched
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.hessian.spectrum import Spectrum, spectrum


def compute(point: Point, data: Data, sizes: Sizes) -> Value:
    start = initial(point.net, point.depth, data.width, point.seed)
    match point:
        case Initial(net=net):
            return _spectrum(net, start, data.statistics)
        case Trained(net=net, relu=Relu.NONE):
            return _ends(lambda weights: linear_loss(net, weights, data.statistics), start, sizes.linear)
        case Trained(net=net, relu=relu):
            return _ends(lambda weights: sample_loss(net, relu, weights, data.samples), start, sizes.relu)
        case Watched(net=net):
            return _course(net, start, data.statistics, sizes)
        case Parted(net=net):
            return _errors(net, start, data, sizes.parted)
        case _:
            assert_never(point)


def checkpoints(epochs: int, count: int) -> tuple[int, ...]:
    """0, and epochs up to the last, evenly spread in their logarithm where they are not neighbours."""
    return (0, *np.unique(np.geomspace(1, epochs, count - 1).round().astype(int)).tolist())


def _spectrum(net: Net, weights: Tensor, of: Statistics) -> Spectrum:
    return spectrum(torch.linalg.eigvalsh(linear_hessian(net, weights, of)).numpy())


def _ends(loss: Callable[[Tensor], Tensor], start: Tensor, training: Training) -> Ends:
    ended = descend(loss, start, training.rates, training.epochs)
    norms = ended.weights.norm(dim=(-2, -1)).mean(-1)
    return Ends(_known(ended.losses), _known(norms))


def _course(net: Net, start: Tensor, of: Statistics, sizes: Sizes) -> Course:
    def loss(weights: Tensor) -> Tensor:
        return linear_loss(net, weights, of)

    training = sizes.linear
    best = descend(loss, start, training.rates, training.epochs).best
    assert best is not None, "no learning rate is small enough"
    rate = training.rates[best]
    epochs = checkpoints(training.epochs, sizes.watched)
    weights = [start]
    for before, after in pairwise(epochs):
        weights.append(descend(loss, weights[-1], (rate,), after - before).weights[0])
    spectra = [_spectrum(net, each, of) for each in weights]
    return Course(
        rate,
        epochs,
        losses=tuple(float(loss(each)) for each in weights),
        gradients=tuple(float(gradient(loss, each).norm()) for each in weights),
        largest=tuple(each.largest for each in spectra),
        percentile10=tuple(each.percentile10 or None for each in spectra),
        index=tuple(math.nan if each.index is None else each.index for each in spectra),
    )


def _errors(net: Net, start: Tensor, data: Data, training: Training) -> Errors:
    ended = descend(
        lambda weights: sample_loss(net, Relu.MID, weights, data.train), start, training.rates, training.epochs
    )
    return Errors(_known(ended.losses), _wrong(net, ended.weights, data.train), _wrong(net, ended.weights, data.test))


def _wrong(net: Net, weights: Tensor, samples: Samples) -> tuple[float | None, ...]:
    """Shares of samples whose largest output is not that of their class, by learning rate."""
    said = outputs(net, Relu.MID, weights, samples.inputs)
    wrong = (said.argmax(-2) != samples.targets.argmax(-2)).double().mean(-1)
    return _known(torch.where(said.isnan().any(-1).any(-1), torch.nan, wrong))


def _known(values: Tensor) -> tuple[float | None, ...]:
    return tuple(None if value != value else value for value in values.tolist())
