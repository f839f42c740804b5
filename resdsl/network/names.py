"""The names of a network's parts: module attributes, state_dict keys, ONNX nodes.

Within a unit the branch's operators are named by kind (`conv1`, `bn2`), those of its shortcut and those behind the
addition with their section before it (`shortcut_conv`, `after_bn`). Within the network the sections are stem, stage1,
stage2, …, head (`stem_conv`, `head_linear`); a stage that is units alone is named `stage1` itself, and its units by
number (`stage1.17.conv3`). Units in a branch take the unit's name. A number stands behind a kind only where its
section has several.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from resdsl.network.network import Network, inner_chains
from resdsl.network.operators import OPERATOR_NAMES, Chain, Element, GlobalAvgPool, Removed, Unit, Units

MODULE_ATTRIBUTES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
    ]
)
"""What torch.nn.Module already has: a part of this name gets an underscore behind it."""


@dataclass(frozen=True, slots=True)
class Named:
    """An element with its name; `inner` are the chains inside it, named in the same scope."""

    name: str
    element: Element
    inner: tuple[tuple[Named, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class UnitNames:
    branch: tuple[Named, ...]
    shortcut: tuple[Named, ...]
    after: tuple[Named, ...]


def name_unit(unit: Unit) -> UnitNames:
    """The names inside a unit."""
    taken: set[str] = set()
    return UnitNames(
        _name_chain(unit.branch, "", taken),
        _name_chain(unit.shortcut.chain or (), "shortcut_", taken),
        _name_chain(unit.after, "after_", taken),
    )


def name_network(network: Network) -> list[tuple[str, tuple[Named, ...]]]:
    """The sections (stem, stage1, …, head) with the names inside them."""
    taken: set[str] = set()
    result: list[tuple[str, tuple[Named, ...]]] = []
    for section, chain in network.sections():
        if section.startswith("stage") and len(chain) == 1 and isinstance(chain[0], Units):
            taken.add(section)
            result.append((section, (Named(section, chain[0]),)))
        else:
            result.append((section, _name_chain(chain, f"{section}_", taken)))
    return result


def kind_name(element: Element) -> str:
    """`conv`, `bn`, …; for units their common name, or `units`."""
    if isinstance(element, Units):
        names = {run.unit.name for run in element.runs}
        return names.pop() if len(names) == 1 else "units"
    if isinstance(element, GlobalAvgPool):
        return "avgpool"
    if isinstance(element, Removed):
        return element.was
    return OPERATOR_NAMES[type(element)]


def _name_chain(chain: Chain, prefix: str, taken: set[str]) -> tuple[Named, ...]:
    totals = Counter(kind_name(element) for element in _elements(chain))
    seen: Counter[str] = Counter()

    def name(element: Element) -> str:
        kind = kind_name(element)
        seen[kind] += 1
        result = f"{prefix}{kind}{seen[kind]}" if totals[kind] > 1 else f"{prefix}{kind}"
        while result in taken or result in MODULE_ATTRIBUTES or keyword.iskeyword(result):
            result += "_"
        taken.add(result)
        return result

    def visit(chain: Chain) -> tuple[Named, ...]:
        result: list[Named] = []
        for element in chain:
            own = name(element)
            chains = () if isinstance(element, Units) else inner_chains(element)
            result.append(Named(own, element, tuple(visit(inner) for inner in chains)))
        return tuple(result)

    return visit(chain)


def _elements(chain: Chain) -> Iterator[Element]:
    for element in chain:
        yield element
        if not isinstance(element, Units):
            for inner in inner_chains(element):
                yield from _elements(inner)
