"""The Hessian of a linear network's loss from products of its layers: a hundred times as fast as differentiating twice."""

from __future__ import annotations

import torch
from torch import Tensor

from resdsl.analysis.demystify.loss import Statistics
from resdsl.analysis.demystify.nets import Net, Relu, outputs


def linear_hessian(net: Net, weights: Tensor, of: Statistics) -> Tensor:
    """(p, p) for weights (layers, width, width), p = layers width^2, in the order of weights.flatten().

    With `in_l` what layer l is given for the network's input, `out_l` what its output does to the network's, and `Q_kl` the way from the
    output of l to the input of a later k, as matrices, and E = W S^XX - S^YX: the second derivative along V_l and V_k is
    `tr(in_k S^XX in_l^T V_l^T out_l^T out_k V_k) + tr(E^T out_k V_k Q_kl V_l in_l)`, the second term for l < k.
    """
    layers, width = weights.shape[:2]
    eye = torch.eye(width, dtype=weights.dtype)
    error = outputs(net, Relu.NONE, weights, eye) @ of.inputs - of.cross
    into = _inputs(net, weights)
    ways, out = zip(*(_from(net, weights, layer) for layer in range(layers)), strict=True)
    out = torch.stack(out)
    left = torch.einsum("lua,kub->lkab", out, out)
    right = torch.einsum("lau,uv,kbv->lkab", into, of.inputs, into)
    hessian = torch.einsum("lkia,lkjb->lijkab", left, right)
    for early, later in enumerate(ways):
        ends = torch.einsum("ju,vu,kva->kja", into[early], error, out[early + 1 :])
        mixed = torch.einsum("kbi,kja->ijkab", later, ends)
        hessian[early, :, :, early + 1 :] += mixed
        hessian[early + 1 :, :, :, early] += mixed.permute(2, 3, 4, 0, 1)
    return hessian.reshape(layers * width**2, -1)


def _inputs(net: Net, weights: Tensor) -> Tensor:
    """(layers, width, width), what each layer is given, as a matrix times the network's input."""
    stream = torch.eye(weights.shape[-1], dtype=weights.dtype)
    found: list[Tensor] = []
    for unit in weights.split(net.span):
        signal = stream
        for layer in unit:
            found.append(signal)
            signal = layer @ signal
        stream = stream + signal if net.shortcut else signal
    return torch.stack(found)


def _from(net: Net, weights: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """From the output of a layer to the inputs of all later ones, (later, width, width), and to the network's output, (width, width)."""
    width = weights.shape[-1]
    signal = torch.eye(width, dtype=weights.dtype)
    ways: list[Tensor] = []
    end = (layer // net.span + 1) * net.span
    for each in weights[layer + 1 : end]:
        ways.append(signal)
        signal = each @ signal
    stream = signal
    for unit in weights[end:].split(net.span) if end < len(weights) else ():
        signal = stream
        for each in unit:
            ways.append(signal)
            signal = each @ signal
        stream = stream + signal if net.shortcut else signal
    return torch.stack(ways) if ways else weights.new_empty(0, width, width), stream
