"""Removes what does nothing in evaluation.

    dropout(x) = x        drop_path(x) = x, rescaled        1 * x = x        relu(relu(x)) = relu(x)
    a pooling window of one pixel and stride 1 leaves x

A drop path that was not rescaled in training multiplies by 1 - p, which fold_scales sees to.
"""

from __future__ import annotations

from resdsl.network.names import kind_name
from resdsl.network.operators import AvgPool, Dropout, DropPath, MaxPool, Operator, Relu, Removed, Scale, Sigmoid
from resdsl.passes.draft import ChainDraft, Draft, Weights
from resdsl.passes.tally import Tally


def remove_identities(draft: Draft) -> Tally:
    changed: list[str] = []
    for chain in draft.chains():
        for index, element in enumerate(chain.elements):
            if not isinstance(element, list | Removed) and (
                _is_identity(element) or _is_rectified(chain, index, draft.weights)
            ):
                chain.remove(index, kind_name(element))
                changed.append(chain.names[index])
    return Tally(tuple(changed))


def _is_identity(operator: Operator) -> bool:
    match operator:
        case Dropout() | DropPath(rescale=True) | DropPath(p=0):
            return True
        case Scale(factor=1, branch=1, learn=False):
            return True
        case MaxPool(kernel=(1, 1), stride=1, padding=(0, 0)) | AvgPool(kernel=(1, 1), stride=1, padding=(0, 0)):
            return True
        case _:
            return False


def _is_rectified(chain: ChainDraft, index: int, weights: Weights) -> bool:
    """Whether this is a ReLU of what is not negative anyway."""
    if not isinstance(chain.elements[index], Relu):
        return False
    for before in reversed(range(index)):
        match chain.elements[before]:
            case Relu() | Sigmoid():
                return True
            case Removed() | Dropout() | DropPath() | MaxPool() | AvgPool():
                continue
            case Scale(learn=True) if not (weights[chain.names[before]] < 0).any():
                continue
            case Scale(factor=int() | float() as factor, learn=False) if factor >= 0:
                continue
            case _:
                return False
    return False
