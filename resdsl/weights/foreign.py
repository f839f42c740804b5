"""Files of other libraries: every tensor of the network must be in them, and nothing else, and nothing that no tensor shows
may be otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.weights import fit_weights, read_weights
from resdsl.weights.conventions import LIBRARIES
from resdsl.weights.convert import Arrays, Conversion, Unmatched, convert

SHOWN_NAMES = 4


def convert_weights(network: Network, source: str, library: str) -> tuple[Weights, Conversion]:
    """A library's weights file as the network's own tensors, and how they were found.

    library: pytorchcv, timm or torchvision. Raises SpecError, with all that did not match.
    """
    found = read_weights(source)
    conversion = convert(network, found, library)
    count = len(network_tensors(network))
    if 2 * len(conversion.arrays) < count:
        raise _unlike(network, found, source, library, len(conversion.arrays), count)
    if not conversion.complete:
        raise _unmatched(network, conversion, source)
    reasons = [reason for check in conversion.convention.hidden if (reason := check(network))]
    if reasons:
        message = (
            f"every tensor has its place, but {network.name} does not compute what {conversion.convention.name} does"
        )
        raise fail("weights", message, notes=reasons)
    return fit_weights(network, conversion.arrays, source), conversion


def _unlike(network: Network, found: Arrays, source: str, library: str, matched: int, count: int) -> SpecError:
    """For a file of which hardly anything is known."""
    names = [tensor.name for tensor in network_tensors(network)]
    help = "is it this network, with these parameters?"
    if 2 * sum(name in found for name in names) > count:
        help = "these are names of resdsl's own: `--weights` reads the file as it is"
    for other in LIBRARIES:
        if 2 * len(convert(network, found, other).arrays) > count:
            help = f"its names are those of {other}: `--from {other}`"
    message = f"{source} holds {matched} of the {count} tensors of {network.name} under names of {library}"
    examples = ", ".join(list(found)[:SHOWN_NAMES])
    more = ", …" if len(found) > SHOWN_NAMES else ""
    return fail("weights", message, notes=[f"in it are {examples}{more}"] if found else ["it is empty"], help=help)


def _unmatched(network: Network, conversion: Conversion, source: str) -> SpecError:
    name = network.name
    diagnostics = [
        Diagnostic("weights", f"{source} {verb} {_tensors(len(unmatched))} {words}", notes=_by_layer(unmatched))
        for unmatched, verb, words in (
            (conversion.missing, "lacks", f"of {name}, named as {conversion.convention.name}"),
            (conversion.misshapen, "holds", f"of {name} in another shape"),
            (conversion.unused, "holds", f"that {name} has no place for"),
        )
        if unmatched
    ]
    return SpecError([*diagnostics[:-1], replace(diagnostics[-1], help=_advice(conversion))])


def _advice(conversion: Conversion) -> str:
    classes = {
        tensor.found[0] if tensor.found and tensor.found[1:] == tensor.shape[1:] else None
        for tensor in conversion.misshapen
        if tensor.name.startswith("head_linear.")
    }
    elsewhere = [tensor for tensor in conversion.misshapen if not tensor.name.startswith("head_linear.")]
    if len(classes) == 1 and None not in classes and not elsewhere and not conversion.missing:
        return f"another number of classes: `-p classes={classes.pop()}`?"
    return conversion.convention.visible or "is it this network, with these parameters?"


def _by_layer(unmatched: Sequence[Unmatched]) -> tuple[str, ...]:
    """One line a layer: `stage1.0.bn1: weight, bias (looked for layer1.0.bn1)`."""
    layers: dict[tuple[str, str], list[str]] = {}
    for tensor in unmatched:
        layer, _, part = tensor.name.rpartition(".")
        layers.setdefault((layer, tensor.why.removesuffix(f".{part}")), []).append(part)
    return tuple(
        f"{layer}: {', '.join(parts)}{f' ({why})' if why else ''}"
        if layer
        else f"{parts[0]}{f' ({why})' if why else ''}"
        for (layer, why), parts in layers.items()
    )


def _tensors(count: int) -> str:
    return "1 tensor" if count == 1 else f"{count} tensors"
