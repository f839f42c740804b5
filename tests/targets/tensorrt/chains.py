"""Every operator of the language in a network of its own."""

from __future__ import annotations

CHAINS = {
    "conv": "head conv(3x3, 8, stride = 2, groups = 4, bias = true) -> conv(3x3, 8, dilation = 2, standardise = true)",
    "linear": "head avgpool -> linear(5)",
    "bn": "head bn",
    "groupnorm": "head groupnorm(4)",
    "layernorm": "head layernorm",
    "relu": "head relu",
    "gelu": "head gelu",
    "silu": "head silu",
    "tanh": "head tanh",
    "sigmoid": "head sigmoid",
    "scale": "head scale(0.5) -> scale(0.7, learn = true, per_channel = true)",
    "gate": "stage u",
    "dropout": "head dropout(0.5)",
    "drop_path": "head drop_path(0.2, rescale = false)",
    "se": "head se(4)",
    "maxpool": "head maxpool(3x3, 2)",
    "avgpool": "head avgpool(3x3, 1, 1) -> avgpool(3x3, 1, 1, count_padding = false)",
    "global_avgpool": "head avgpool",
    "pad": "stage u2",
    "flatten": "head flatten",
    "partial": "head partial(0.5, relu)",
    "concat": "head concat(conv(1x1, 4), relu)",
}
UNITS = """resnet 1
unit u { branch conv(3x3, 8) shortcut gate(-1, branch = true) }
unit u2 { branch conv(3x3, 16, stride = 2) shortcut identity projection pad }
"""
