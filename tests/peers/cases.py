"""Which network is held equal to which model of which library, and with what parameters the spec gives the peer's version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from resdsl.spec import Parameter

GAMMA = 1.7139588594436646
SMALL: dict[str, Parameter] = {"image": (3, 64, 64)}
PEER_GAMMA: dict[str, Parameter] = {"lead": f"scale({GAMMA})", "last": "relu", "eps": 1e-5}


FAMILIES = {
    "ror": "ror",
    "rir": "rir",
    "convnext": "convnext",
    "resnetv2": "resnetv2",
    "nf_resnet": "nf_resnet",
    "inception": "inception_resnet_v2",
}
"""Part of a model's name -> the family of names in resdsl/weights/conventions.py; others are ResNets."""


@dataclass(frozen=True)
class Case:
    """`parameters`: of the spec, to compute what the peer does. `options`: of the library's function.

    trains: False where autograd refuses the library's own code (timm multiplies in place what its ReLU still needs).
    """

    library: str
    model: str
    file: str
    network: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    slow: bool = True
    trains: bool = True

    @property
    def family(self) -> str:
        """The names by which the weights are carried over."""
        size = "CIFAR" if "image" not in self.parameters else "ImageNet"
        pre = "pre" if "preresnet" in self.model or "wrn" in self.model else ""
        own = next((family for key, family in FAMILIES.items() if key in self.model), "resnet")
        return f"{pre}resnet for {size}" if self.library == "pytorchcv" and own == "resnet" else own

    @property
    def name(self) -> str:
        options = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.library}:{self.model}{f'({options})' if options else ''}={self.file}:{self.network}"


def cifar(model: str, network: str, parameters: dict[str, Parameter] | None = None, *, slow: bool = True) -> Case:
    file = "resnet164" if "164" in network or "1001" in network else "cifar_options"
    return Case("pytorchcv", f"{model}_cifar10", file, network, parameters or {}, slow=slow)


def imagenet(
    library: str, model: str, network: str, parameters: dict[str, Parameter] | None = None, **options: Any
) -> Case:
    file = "imagenet_basic" if network.removeprefix("pre")[-2:] in ("18", "34") or "act18" in network else "imagenet"
    return Case(library, model, file, network, {**SMALL, **(parameters or {})}, options)


STRIDE: dict[str, Parameter] = {"stride_3x3": True}
FIRST: dict[str, Parameter] = {"first": "input"}
DOUBLED: dict[str, Parameter] = {"first": "pre"}
NO_LEAD: dict[str, Parameter] = {"first": "pre", "lead": "identity"}
POOLED: dict[str, Parameter] = {"pooled": True}
DROPPED: dict[str, Parameter] = {"n": 3, "fit": "conv(1x1)", "rescale": True}

CASES = [
    cifar("resnet20", "resnet20_b", slow=False),
    cifar("resnet56", "resnet56_b"),
    cifar("resnet110", "resnet110_b"),
    cifar("resnet1202", "resnet1202_b"),
    cifar("resnet164bn", "resnet164", STRIDE),
    cifar("resnet1001", "resnet1001", STRIDE),
    cifar("preresnet20", "preact20_b", FIRST, slow=False),
    cifar("preresnet56", "preact56_b", FIRST),
    cifar("preresnet110", "preact110_b", FIRST),
    cifar("preresnet1202", "preact1202_b", FIRST),
    cifar("preresnet164bn", "preact164", STRIDE),
    cifar("preresnet1001", "preact1001", STRIDE),
    Case(
        "pytorchcv",
        "wrn_cifar.get_wrn_cifar",
        "wide_resnet",
        "wrn_16_4",
        {},
        {"num_classes": 10, "blocks": 16, "width_factor": 4},
    ),
    Case(
        "pytorchcv",
        "wrn_cifar.get_wrn_cifar",
        "wide_resnet",
        "wrn_40_4",
        {},
        {"num_classes": 10, "blocks": 40, "width_factor": 4},
    ),
    Case("pytorchcv", "wrn28_10_cifar10", "wide_resnet", "wrn_28_10"),
    Case("pytorchcv", "ror3_56_cifar10", "ror", "ror3_56", POOLED, slow=False),
    Case("pytorchcv", "ror3_110_cifar10", "ror", "ror3_110", POOLED),
    Case("pytorchcv", "ror3_164_cifar10", "ror", "ror3_164", POOLED),
    Case("pytorchcv", "rir_cifar10", "rir", "rir18"),
    Case("pytorchcv", "seresnet20_cifar10", "senet", "seresnet20", {"fit": "conv(1x1)"}, slow=False),
    Case("pytorchcv", "seresnet110_cifar10", "senet", "seresnet110", {"fit": "conv(1x1)"}),
    Case("pytorchcv", "resdropresnet20_cifar10", "stochastic_depth", "stochastic110", DROPPED, slow=False),
    Case("pytorchcv", "resnext29_32x4d_cifar10", "resnext", "resnext29", {"groups": 32, "d": 4}),
    Case(
        "pytorchcv",
        "resnext_cifar.get_resnext_cifar",
        "resnext",
        "resnext29",
        {},
        {"num_classes": 10, "blocks": 29, "cardinality": 8, "bottleneck_width": 64},
    ),
    Case("pytorchcv", "resnext29_16x64d_cifar10", "resnext", "resnext29_16x64d"),
    *(imagenet("pytorchcv", f"resnet{depth}", f"resnet{depth}") for depth in (18, 34, 50, 101, 152, 200)),
    *(imagenet("pytorchcv", f"resnet{depth}b", f"resnet{depth}", STRIDE) for depth in (50, 152)),
    *(imagenet("pytorchcv", f"preresnet{depth}", f"preact{depth}", DOUBLED) for depth in (18, 34, 50, 101, 152, 200)),
    imagenet("pytorchcv", "preresnet50b", "preact50", {**DOUBLED, **STRIDE}),
    Case("pytorchcv", "seresnet50", "senet", "seresnet50", SMALL),
    Case("pytorchcv", "seresnet50b", "senet", "seresnet50", {**SMALL, **STRIDE}),
    Case("pytorchcv", "resnext50_32x4d", "resnext", "resnext50", SMALL),
    Case("pytorchcv", "seresnext50_32x4d", "senet", "seresnext50", SMALL),
    *(imagenet("torchvision", f"resnet{depth}", f"resnet{depth}") for depth in (18, 34)),
    *(imagenet("torchvision", f"resnet{depth}", f"resnet{depth}", STRIDE) for depth in (50, 101, 152)),
    Case("torchvision", "resnext50_32x4d", "resnext", "resnext50", SMALL),
    Case("torchvision", "resnext101_64x4d", "resnext", "resnext101_64x4d", SMALL),
    Case("torchvision", "wide_resnet50_2", "resnext", "wide50", SMALL),
    *(
        Case("torchvision", f"convnext_{size}", "convnext", f"convnext_{size[0]}", SMALL)
        for size in ("tiny", "small", "base")
    ),
    *(imagenet("timm", f"resnetv2_{depth}", f"preact{depth}", NO_LEAD) for depth in (18, 34)),
    *(imagenet("timm", f"resnetv2_{depth}", f"preact{depth}", {**NO_LEAD, **STRIDE}) for depth in (50, 101, 152)),
    Case("timm", "seresnet50", "senet", "seresnet50", {**SMALL, **STRIDE}),
    Case("timm", "seresnet101", "senet", "seresnet101", {**SMALL, **STRIDE}),
    Case("timm", "seresnext50_32x4d", "senet", "seresnext50", SMALL),
    Case("timm", "resnext101_32x4d", "resnext", "resnext101", SMALL),
    Case(
        "timm",
        "nf_resnet50",
        "nf_resnet",
        "nf_resnet50",
        {**SMALL, "eps": 1e-5, "end": "identity"},
        {"gamma_in_act": True},
        trains=False,
    ),
    Case("timm", "nf_resnet50", "nf_resnet", "nf_resnet50", {**SMALL, **PEER_GAMMA}, {"skipinit": True}),
    Case("timm", "nf_resnet50", "nf_resnet", "nf_resnet50", {**SMALL, **PEER_GAMMA, "end": "identity"}),
    Case("timm", "nf_resnet101", "nf_resnet", "nf_resnet101", {**SMALL, **PEER_GAMMA, "end": "identity"}),
    Case("timm", "convnext_tiny", "convnext", "convnext_t", {**SMALL, "p": 0.0}),  # timm rounds rates to float32
    Case("timm", "inception_resnet_v2", "inception_resnet", "inception_resnet_v2", {"image": (3, 139, 139)}),
]
