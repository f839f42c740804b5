"""Writes standardised filters as plain ones.

    W' = (W - mean) / sqrt((variance + eps) * fan_in) * gain        a filter each (Brock et al. 2021)

Always applies: filters do not change in evaluation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resdsl.network.evaluate import standardised
from resdsl.network.operators import Conv
from resdsl.passes.draft import Draft
from resdsl.passes.tally import Tally


def fold_standardised(draft: Draft) -> Tally:
    changed: list[str] = []
    for chain in draft.chains():
        for index, element in enumerate(chain.elements):
            if isinstance(element, Conv) and element.standardise:
                name = chain.names[index]
                weight = draft.weights[f"{name}.weight"]
                gain = draft.weights.pop(f"{name}.gain").astype(np.float64)
                plain = standardised(weight.astype(np.float64), gain, element.eps)
                draft.weights[f"{name}.weight"] = plain.astype(weight.dtype)
                chain.elements[index] = replace(element, standardise=False, eps=0.0)
                changed.append(name)
    return Tally(tuple(changed))
