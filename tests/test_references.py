"""The networks of the papers against hand-written PyTorch modules that share no code with the compiler.

Weights are carried over by position: both sides register them in the order of execution, branch before shortcut.
Outputs, losses and gradients are equal in float64, in evaluation and in training mode, with the same random draws.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from _pytest.mark.structures import ParameterSet
from torch import nn

from resdsl.network.tensors import network_tensors
from resdsl.network.types import Image
from resdsl.spec import Parameter, build
from resdsl.targets.torch_module import torch_module
from resdsl.weights import CALIBRATED, network_weights
from tests.networks import CIFAR, IN_THE_FAST_LOOP, SMALL_CIFAR, SPECS
from tests.references.bottleneck import CifarBottleneck, ImageNetBottleneck
from tests.references.cifar_basic import (
    CifarBasic,
    Conv1x1,
    Dropout,
    Gate,
    Identity,
    Nothing,
    Placement,
    Scale,
    Shortcut,
)
from tests.references.related import (
    BasicImageNet,
    BasicOptions,
    BranchScale,
    Highway,
    NFResNet,
    NShortcut,
    PlainCifar,
    RoR3,
    SEBasic,
    SkipInit,
    StochasticDepth,
    Wide,
)

TOLERANCE = 1e-9
SMALL_IMAGE: dict[str, Parameter] = {"image": (3, 64, 64)}
P = Placement


def basic(placement: Placement = P.POST, shortcut: Shortcut = Identity(), one_layer: bool = False) -> nn.Module:  # noqa: B008
    return CifarBasic(18, 10, placement, shortcut, one_layer)


def imagenet(blocks: tuple[int, int, int, int], placement: Placement) -> nn.Module:
    return ImageNetBottleneck(blocks, placement)


def row(file: str, network: str, parameters: dict[str, Parameter], make: Callable[[], nn.Module]) -> ParameterSet:
    slow = network not in IN_THE_FAST_LOOP or bool(parameters)
    name = f"{file}:{network}{'(stride_3x3)' if 'stride_3x3' in parameters else ''}"
    return pytest.param(file, network, parameters, make, id=name, marks=[pytest.mark.slow] if slow else [])


ROWS = [
    row("resnet110", "resnet110", {}, basic),
    row("resnet110", "plain110", {}, lambda: basic(shortcut=Nothing())),
    row("resnet110", "scale_half", {}, lambda: basic(shortcut=Scale(0.5, 1.0))),
    row("resnet110", "scale_half_frozen", {}, lambda: basic(shortcut=Scale(0.5, 0.5))),
    row("resnet110", "gate_exclusive", {}, lambda: basic(shortcut=Gate(-6.0, True))),
    row("resnet110", "gate_exclusive_5", {}, lambda: basic(shortcut=Gate(-5.0, True))),
    row("resnet110", "gate_exclusive_7", {}, lambda: basic(shortcut=Gate(-7.0, True))),
    row("resnet110", "gate_shortcut", {}, lambda: basic(shortcut=Gate(-6.0, False))),
    row("resnet110", "gate_shortcut_0", {}, lambda: basic(shortcut=Gate(0.0, False))),
    row("resnet110", "conv_shortcut", {}, lambda: basic(shortcut=Conv1x1())),
    row("resnet110", "dropout_shortcut", {}, lambda: basic(shortcut=Dropout(0.5))),
    row("resnet110", "bn_after_add110", {}, lambda: basic(P.BN_AFTER_ADD)),
    row("resnet110", "relu_before_add110", {}, lambda: basic(P.RELU_BEFORE_ADD)),
    row("resnet110", "relu_only_pre110", {}, lambda: basic(P.RELU_ONLY_PRE)),
    row("resnet110", "preact110", {}, lambda: basic(P.PRE)),
    row("resnet110", "resnet110_1layer", {}, lambda: basic(one_layer=True)),
    row("resnet110", "preact110_1layer", {}, lambda: basic(P.PRE, one_layer=True)),
    row("resnet164", "resnet164", {}, lambda: CifarBottleneck(18, 10, P.POST)),
    row("resnet164", "bn_after_add164", {}, lambda: CifarBottleneck(18, 10, P.BN_AFTER_ADD)),
    row("resnet164", "relu_before_add164", {}, lambda: CifarBottleneck(18, 10, P.RELU_BEFORE_ADD)),
    row("resnet164", "relu_only_pre164", {}, lambda: CifarBottleneck(18, 10, P.RELU_ONLY_PRE)),
    row("resnet164", "preact164", {}, lambda: CifarBottleneck(18, 10, P.PRE)),
    row("resnet164", "preact164_cifar100", {}, lambda: CifarBottleneck(18, 100, P.PRE)),
    row("resnet164", "resnet164_cifar100", {}, lambda: CifarBottleneck(18, 100, P.POST)),
    row("resnet164", "resnet164", {"stride_3x3": True}, lambda: CifarBottleneck(18, 10, P.POST, stride_in_1x1=False)),
    row("resnet164", "resnet1001", {}, lambda: CifarBottleneck(111, 10, P.POST)),
    row("resnet164", "preact1001_cifar100", {}, lambda: CifarBottleneck(111, 100, P.PRE)),
    row("resnet164", "resnet1001_cifar100", {}, lambda: CifarBottleneck(111, 100, P.POST)),
    row("resnet164", "preact1001", {}, lambda: CifarBottleneck(111, 10, P.PRE)),
    row("preact1001", "preact1001", {}, lambda: CifarBottleneck(111, 10, P.PRE)),
    row("imagenet", "resnet101", SMALL_IMAGE, lambda: imagenet((3, 4, 23, 3), P.POST)),
    row("imagenet", "bn_after_add101", SMALL_IMAGE, lambda: imagenet((3, 4, 23, 3), P.BN_AFTER_ADD)),
    row("imagenet", "preact101", SMALL_IMAGE, lambda: imagenet((3, 4, 23, 3), P.PRE)),
    row("imagenet", "resnet152", SMALL_IMAGE, lambda: imagenet((3, 8, 36, 3), P.POST)),
    row("imagenet", "preact152", SMALL_IMAGE, lambda: imagenet((3, 8, 36, 3), P.PRE)),
    row("imagenet", "resnet200", SMALL_IMAGE, lambda: imagenet((3, 24, 36, 3), P.POST)),
    row("imagenet", "preact200", SMALL_IMAGE, lambda: imagenet((3, 24, 36, 3), P.PRE)),
    *(row("cifar", f"resnet{6 * n + 2}", {}, lambda n=n: BasicOptions(n, "A", pre=False)) for n in (3, 5, 7, 9, 200)),
    *(row("cifar", f"preact{6 * n + 2}", {}, lambda n=n: BasicOptions(n, "A", pre=True)) for n in (3, 5, 7, 9, 200)),
    *(row("cifar", f"plain{6 * n + 2}", {}, lambda n=n: PlainCifar(n)) for n in (3, 5, 7, 9)),
    *(
        row(
            "cifar_options",
            f"{'preact' if pre else 'resnet'}{6 * n + 2}_{option.lower()}",
            {},
            lambda n=n, option=option, pre=pre: BasicOptions(n, option, pre=pre),
        )
        for pre in (False, True)
        for option in ("B", "C")
        for n in (3, 5, 7, 9, 18, 200)
        if (option, n) != ("C", 200) and (option, n, pre) != ("C", 18, False)  # conv_shortcut
    ),
    *(
        row("imagenet_basic", f"{name}{depth}{suffix}", SMALL_IMAGE, lambda make=make, blocks=blocks: make(blocks))
        for depth, blocks in ((18, (2, 2, 2, 2)), (34, (3, 4, 6, 3)))
        for name, suffix, make in (
            ("resnet", "", lambda blocks: BasicImageNet(blocks, "B", pre=False)),
            ("resnet", "_a", lambda blocks: BasicImageNet(blocks, "A", pre=False)),
            ("preact", "", lambda blocks: BasicImageNet(blocks, "B", pre=True)),
            ("plain", "", lambda blocks: BasicImageNet(blocks, "A", pre=False, plain=True)),
        )
    ),
    row("imagenet_basic", "resnet34_c", SMALL_IMAGE, lambda: BasicImageNet((3, 4, 6, 3), "C", pre=False)),
    *(
        row("highway", f"highway{layers + 1}", {}, lambda layers=layers: Highway(layers, 50, -2))
        for layers in (9, 19, 49, 99)
    ),
    *(
        row(
            "n_shortcut",
            f"shortcut{n}{'' if position == 'linear' else f'_{position}'}",
            {},
            lambda n=n, units=units, position=position: NShortcut(n, units, 10, position),
        )
        for n, units in ((1, 16), (2, 8), (3, 5), (4, 4))
        for position in ("linear", "pre", "mid", "post")
        if (n, position) != (1, "mid")
    ),
    row("stochastic_depth", "stochastic110", {}, lambda: StochasticDepth(18, 0.5)),
    row("stochastic_depth", "stochastic1202", {}, lambda: StochasticDepth(200, 0.5)),
    row(
        "stochastic_depth",
        "stochastic110_rescaled",
        {},
        lambda: StochasticDepth(18, 0.5, per_sample=True, rescale=True),
    ),
    row("wide_resnet", "wrn_16_4", {}, lambda: Wide(2, 4, 0.0)),
    row("wide_resnet", "wrn_16_4_dropout", {}, lambda: Wide(2, 4, 0.3)),
    row("wide_resnet", "wrn_28_10_dropout", {}, lambda: Wide(4, 10, 0.3)),
    row("branch_scale", "rezero110", {}, lambda: BranchScale(18, "scalar", 0.0)),
    row("branch_scale", "rezero56", {}, lambda: BranchScale(9, "scalar", 0.0)),
    row("branch_scale", "layerscale110", {}, lambda: BranchScale(18, "channel", 1e-6)),
    row("branch_scale", "skipinit_16_4", {}, lambda: SkipInit(2, 4, 0.0)),
    *(row("ror", f"ror3_{6 * n + 8}", {}, lambda n=n: RoR3(n)) for n in (8, 17, 26)),
    row("nf_resnet", "nf_resnet50", SMALL_IMAGE, lambda: NFResNet((3, 4, 6, 3))),
    row("nf_resnet", "nf_resnet101", SMALL_IMAGE, lambda: NFResNet((3, 4, 23, 3))),
    row("imagenet", "resnet50", SMALL_IMAGE, lambda: imagenet((3, 4, 6, 3), P.POST)),
    row("imagenet", "preact50", SMALL_IMAGE, lambda: imagenet((3, 4, 6, 3), P.PRE)),
    row("senet", "seresnet20", {}, lambda: SEBasic(3, 16)),
    row("senet", "seresnet110", {}, lambda: SEBasic(18, 16)),
]


@pytest.mark.parametrize(("file", "network", "parameters", "make"), ROWS)
def test_equals_the_reference(
    file: str, network: str, parameters: dict[str, Parameter], make: Callable[[], nn.Module]
) -> None:
    built = build(SPECS / f"{file}.resnet", network, parameters)
    if built.input == CIFAR:
        built = build(SPECS / f"{file}.resnet", network, {**parameters, **SMALL_CIFAR})
    module = torch_module(built, network_weights(built, CALIBRATED)).double()
    tensors = network_tensors(built)
    reference = carry_over(module, make().double(), [tensor.name for tensor in tensors])
    order = {module: [tensor.name for tensor in tensors if tensor.trainable]}
    shape = built.input
    extents = (shape.channels, shape.height, shape.width) if isinstance(shape, Image) else (shape.channels,)
    x = torch.randn(2, *extents, dtype=torch.float64, generator=seeded(1))
    labels = torch.tensor([1, 2])
    for training in (False, True):
        outputs, gradients = [], []
        for net in (module.train(training), reference.train(training)):
            net.zero_grad()
            torch.manual_seed(7)
            y = net(x)
            nn.functional.cross_entropy(y, labels).backward()
            outputs.append(y.detach())
            parameters_of = dict(net.named_parameters())
            gradients.append([parameters_of[name].grad for name in order.get(net, parameters_of)])
        assert outputs[0].isfinite().all()
        assert not torch.allclose(outputs[1][0], outputs[1][1], rtol=1e-6), "different inputs give the same output"
        assert relative(outputs[0], outputs[1]) <= TOLERANCE
        largest = max(float(g.abs().max()) for g in gradients[1])
        assert largest > 0
        for mine, theirs in zip(*gradients, strict=True):
            assert float((mine - theirs).abs().max()) <= TOLERANCE * largest


def carry_over(module: nn.Module, reference: nn.Module, order: list[str]) -> nn.Module:
    """The reference with the module's weights, by position; `order`: the module's tensors in the order of execution."""
    state = module.state_dict()
    mine = [state[name] for name in order]
    names = [name for name in reference.state_dict() if not name.endswith("num_batches_tracked")]
    assert len(mine) == len(names)
    reference.load_state_dict(dict(zip(names, mine, strict=True)), strict=False)
    return reference


def relative(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y - reference).abs().max() / reference.abs().max())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
