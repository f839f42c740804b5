"""How other libraries name the tensors of networks that the language can say.

A rule leads from a name of ours to theirs: `("stage{s}.{u}.conv{k}", "layer{s}.{u}.conv{k}")`. `{s}` stands for a number,
`*` for a word. What follows the pattern, as `.weight`, is kept. On the right numbers may be shifted and multiplied, `{s-1}`,
`{2*s-1}`. The first rule that fits counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from resdsl.network.operators import BatchNorm, LayerNorm
from resdsl.weights.hidden import (
    Check,
    drop_paths_rescale,
    filters_have_eps,
    multiplies_gamma_into_weights,
    norms_have_eps,
    pools_between_levels,
    shortcuts_read_the_input,
    strides_in_one_of_both,
    strides_in_the_3x3,
)


@dataclass(frozen=True, slots=True)
class Blocks:
    """A tensor of ours that is put together of several: rows along the first axis, in a row along the second."""

    rows: tuple[tuple[str, ...], ...]


Rule: TypeAlias = tuple[str, str | Blocks]


@dataclass(frozen=True, slots=True)
class Convention:
    """The names of one family of networks.

    hidden: what must hold and tensors do not show. unknown: what the library has in two ways that tensors do not tell
    apart. visible: what to try where tensors do not match.
    """

    library: str
    family: str
    rules: tuple[Rule, ...]
    hidden: tuple[Check, ...]
    unknown: tuple[Check, ...] = ()
    visible: str = ""

    @property
    def name(self) -> str:
        return f"{self.library}'s {self.family}"


def _layers(ours: str, theirs: str, names: tuple[str, ...]) -> tuple[Rule, ...]:
    """Convolutions and their norms, numbered in ours, named in theirs."""
    return tuple(
        rule
        for number, name in enumerate(names, 1)
        for rule in (
            (f"{ours}.conv{number}", f"{theirs}.{name}.conv"),
            (f"{ours}.bn{number}", f"{theirs}.{name}.bn"),
        )
    )


_ALL = (norms_have_eps(BatchNorm, 1e-5), drop_paths_rescale)
"""What holds in all families but two of other norms."""


def _convnext_units(theirs: str, names: tuple[str, ...]) -> tuple[Rule, ...]:
    """The units of stage 1, which hold nothing else, and of those that begin by reducing the image."""
    return tuple(
        (f"{stage}.{{u}}.{ours}", f"{theirs}.{name}")
        for stage in ("stage{s}", "stage{s}_*")
        for ours, name in zip(("conv1", "layernorm", "conv2", "conv3", "scale"), names, strict=True)
    )


# What torchvision and timm share.
_RESNET: tuple[Rule, ...] = (
    ("stem_conv", "conv1"),
    ("stem_bn", "bn1"),
    ("stage{s}.{u}.conv{k}", "layer{s}.{u}.conv{k}"),
    ("stage{s}.{u}.bn{k}", "layer{s}.{u}.bn{k}"),
    ("stage{s}.{u}.shortcut_conv", "layer{s}.{u}.downsample.0"),
    ("stage{s}.{u}.shortcut_bn", "layer{s}.{u}.downsample.1"),
    ("head_linear", "fc"),
)

_TORCHVISION = (
    Convention("torchvision", "resnet", _RESNET, (*_ALL, strides_in_the_3x3)),
    Convention(
        "torchvision",
        "convnext",
        (
            ("stem_conv", "features.0.0"),
            ("stem_layernorm", "features.0.1"),
            ("stage{s}_layernorm", "features.{2*s-2}.0"),
            ("stage{s}_conv", "features.{2*s-2}.1"),
            *_convnext_units("features.{2*s-1}.{u}", ("block.0", "block.2", "block.3", "block.5", "layer_scale")),
            ("head_layernorm", "classifier.0"),
            ("head_linear", "classifier.2"),
        ),
        (norms_have_eps(LayerNorm, 1e-6), drop_paths_rescale),
    ),
)

_TIMM = (
    Convention(
        "timm",
        "resnet",
        (
            *_RESNET,
            ("stage{s}.{u}.se.reduce", "layer{s}.{u}.se.fc1"),
            ("stage{s}.{u}.se.expand", "layer{s}.{u}.se.fc2"),
        ),
        (*_ALL, strides_in_the_3x3),
    ),
    Convention(
        "timm",
        "resnetv2",
        (
            ("stem_conv", "stem.conv"),
            ("stage{s}.{u}.conv{k}", "stages.{s-1}.blocks.{u}.conv{k}"),
            ("stage{s}.{u}.bn{k}", "stages.{s-1}.blocks.{u}.norm{k}"),
            ("stage{s}.{u}.shortcut_conv", "stages.{s-1}.blocks.{u}.downsample.conv"),
            ("head_bn", "norm"),
            ("head_linear", "head.fc"),
        ),
        (*_ALL, strides_in_the_3x3, shortcuts_read_the_input),
        visible="timm's stem has no BN and ReLU, its first unit has: `-p lead=identity -p first=pre`",
    ),
    Convention(
        "timm",
        "nf_resnet",
        (
            ("stem_conv", "stem.conv"),
            ("stage{s}.{u}.conv{k}", "stages.{s-1}.{u}.conv{k}"),
            ("stage{s}.{u}.shortcut_conv", "stages.{s-1}.{u}.downsample.conv"),
            ("stage{s}.{u}.scale{k}", "stages.{s-1}.{u}.skipinit_gain"),
            ("head_linear", "head.fc"),
        ),
        (filters_have_eps(1e-5), multiplies_gamma_into_weights, drop_paths_rescale),
        visible="timm has no learned scales unless asked: `-p end=identity`",
    ),
    Convention(
        "timm",
        "convnext",
        (
            ("stem_conv", "stem.0"),
            ("stem_layernorm", "stem.1"),
            ("stage{s}_layernorm", "stages.{s-1}.downsample.0"),
            ("stage{s}_conv", "stages.{s-1}.downsample.1"),
            *_convnext_units("stages.{s-1}.blocks.{u}", ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma")),
            ("head_layernorm", "head.norm"),
            ("head_linear", "head.fc"),
        ),
        (norms_have_eps(LayerNorm, 1e-6), drop_paths_rescale),
    ),
    Convention(
        "timm",
        "inception_resnet_v2",
        (
            *(
                rule
                for number, name in enumerate(("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a"), 1)
                for rule in ((f"stem_*.0.conv{number}", f"{name}.conv"), (f"stem_*.0.bn{number}", f"{name}.bn"))
            ),
            *(
                (f"stem_*.0.{kind}{number}", f"mixed_5b.{name}.{kind}")
                for number, name in enumerate(
                    ("branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2", "branch3.1"), 6
                )
                for kind in ("conv", "bn")
            ),
            *_layers(
                "stage1.{u}", "repeat.{u}", ("branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2")
            ),
            ("stage1.{u}.conv7", "repeat.{u}.conv2d"),
            *_layers("stage2.0", "mixed_6a", ("branch0", "branch1.0", "branch1.1", "branch1.2")),
            *_layers("stage2.{u}", "repeat_1.{u-1}", ("branch0", "branch1.0", "branch1.1", "branch1.2")),
            ("stage2.{u}.conv5", "repeat_1.{u-1}.conv2d"),
            *_layers(
                "stage3.0",
                "mixed_7a",
                ("branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2"),
            ),
            *_layers("stage3.10", "block8", ("branch0", "branch1.0", "branch1.1", "branch1.2")),
            ("stage3.10.conv5", "block8.conv2d"),
            *_layers("stage3.{u}", "repeat_2.{u-1}", ("branch0", "branch1.0", "branch1.1", "branch1.2")),
            ("stage3.{u}.conv5", "repeat_2.{u-1}.conv2d"),
            ("head_conv", "conv2d_7b.conv"),
            ("head_bn", "conv2d_7b.bn"),
            ("head_linear", "classif"),
        ),
        (norms_have_eps(BatchNorm, 1e-3), drop_paths_rescale),
    ),
)

_UNIT: tuple[Rule, ...] = (
    ("stage{s}.{u}.conv{k}", "features.stage{s}.unit{u+1}.body.conv{k}.conv"),
    ("stage{s}.{u}.bn{k}", "features.stage{s}.unit{u+1}.body.conv{k}.bn"),
    ("head_linear", "output"),
)
_POST_UNIT: tuple[Rule, ...] = (
    *_UNIT,
    ("stage{s}.{u}.se.reduce", "features.stage{s}.unit{u+1}.se.conv1"),
    ("stage{s}.{u}.se.expand", "features.stage{s}.unit{u+1}.se.conv2"),
    ("stage{s}.{u}.shortcut_conv", "features.stage{s}.unit{u+1}.identity_conv.conv"),
    ("stage{s}.{u}.shortcut_bn", "features.stage{s}.unit{u+1}.identity_conv.bn"),
)
_PRE_UNIT: tuple[Rule, ...] = (
    *_UNIT,
    ("stage{s}.{u}.shortcut_conv", "features.stage{s}.unit{u+1}.identity_conv"),
    ("head_bn", "features.post_activ.bn"),
)

_PYTORCHCV = (
    Convention(
        "pytorchcv",
        "resnet for ImageNet",
        (("stem_conv", "features.init_block.conv.conv"), ("stem_bn", "features.init_block.conv.bn"), *_POST_UNIT),
        _ALL,
        unknown=(strides_in_one_of_both,),
    ),
    Convention(
        "pytorchcv",
        "preresnet for ImageNet",
        (("stem_conv", "features.init_block.conv"), ("stem_bn", "features.init_block.bn"), *_PRE_UNIT),
        (*_ALL, shortcuts_read_the_input),
        unknown=(strides_in_one_of_both,),
        visible="pytorchcv repeats BN and ReLU at the head of the first unit: `-p first=pre`",
    ),
    Convention(
        "pytorchcv",
        "resnet for CIFAR",
        (("stem_conv", "features.init_block.conv"), ("stem_bn", "features.init_block.bn"), *_POST_UNIT),
        (*_ALL, strides_in_the_3x3),
        visible="pytorchcv has option B, as in std/cifar_options: `-p 'fit=conv(1x1)'`",
    ),
    Convention(
        "pytorchcv",
        "preresnet for CIFAR",
        (("stem_conv", "features.init_block"), *_PRE_UNIT),
        (*_ALL, strides_in_the_3x3, shortcuts_read_the_input),
        visible="pytorchcv has option B, as in std/cifar_options: `-p 'fit=conv(1x1)'`",
    ),
    Convention(
        "pytorchcv",
        "ror",
        (
            ("stem_conv", "features.init_block.conv"),
            ("stem_bn", "features.init_block.bn"),
            *(
                (f"stage1.0.level{{s}}.0.*.{{u}}.{ours}", f"features.body.stages.stage{{s}}.units.unit{{u+1}}.{theirs}")
                for ours, theirs in (
                    ("conv{k}", "body.conv{k}.conv"),
                    ("bn{k}", "body.conv{k}.bn"),
                    ("shortcut_conv", "identity_conv.conv"),
                    ("shortcut_bn", "identity_conv.bn"),
                )
            ),
            ("stage1.0.level{s}.0.shortcut_conv", "features.body.stages.stage{s}.shortcut.conv"),
            ("stage1.0.level{s}.0.shortcut_bn", "features.body.stages.stage{s}.shortcut.bn"),
            ("stage1.0.shortcut_conv", "features.body.shortcut.conv"),
            ("stage1.0.shortcut_bn", "features.body.shortcut.bn"),
            ("head_linear", "output"),
        ),
        (*_ALL, pools_between_levels),
        visible="pytorchcv pools between the levels: `-p pooled=true`",
    ),
    Convention(
        "pytorchcv",
        "rir",
        (
            ("stem_conv", Blocks((("features.init_block.res_conv.conv",), ("features.init_block.trans_conv.conv",)))),
            ("stem_bn", Blocks((("features.init_block.res_conv.bn",), ("features.init_block.trans_conv.bn",)))),
            (
                "stage{s}.{u}.conv",
                Blocks(
                    (
                        ("features.stage{s}.unit{u+1}.res_pass_conv", "features.stage{s}.unit{u+1}.trans_cross_conv"),
                        ("features.stage{s}.unit{u+1}.res_cross_conv", "features.stage{s}.unit{u+1}.trans_pass_conv"),
                    )
                ),
            ),
            (
                "stage{s}.{u}.after_bn",
                Blocks(
                    (
                        ("features.stage{s}.unit{u+1}.res_postactiv.bn",),
                        ("features.stage{s}.unit{u+1}.trans_postactiv.bn",),
                    )
                ),
            ),
            ("stage{s}.{u}.shortcut_conv", "features.stage{s}.unit{u+1}.identity_conv"),
            ("head_conv", "output.final_conv.conv"),
            ("head_bn", "output.final_conv.bn"),
        ),
        _ALL,
    ),
)

LIBRARIES: dict[str, tuple[Convention, ...]] = {
    "pytorchcv": _PYTORCHCV,
    "timm": _TIMM,
    "torchvision": _TORCHVISION,
}
"""The families of each library that `resdsl weights convert --from` knows."""
