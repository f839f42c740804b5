"""operators: Every operator of the language once, as plainly as it can stand.

4x12x12 -> 5; 11,489 parameters. Written by resdsl 0.1.0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def append_zeros(x: Tensor, channels: int, stride: int = 1) -> Tensor:
    """Every stride-th pixel of x, with channels of zeros behind its own up to `channels`."""
    if x.dim() == 2:
        return F.pad(x, (0, channels - x.shape[1]))
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))


class DropPath(nn.Module):
    """In training the whole path is 0 with probability p, drawn for each sample or once for the batch (p = 0: not drawn).

    With rescale the rest is divided by 1 - p; without, evaluation multiplies by 1 - p.
    """

    def __init__(self, p: float, per_sample: bool, rescale: bool) -> None:
        super().__init__()
        self.p, self.per_sample, self.rescale = p, per_sample, rescale

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0:
            return x
        if not self.training:
            return x if self.rescale else (1 - self.p) * x
        draws = x.shape[0] if self.per_sample else 1
        keep = torch.rand(draws, *(1,) * (x.dim() - 1), device=x.device) >= self.p
        kept = keep.to(x.dtype) * x
        return kept / (1 - self.p) if self.rescale else kept

    def extra_repr(self) -> str:
        return f"p={self.p}, per_sample={self.per_sample}, rescale={self.rescale}"


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of an image, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class StandardisedConv2d(nn.Conv2d):
    """Convolution whose filters are (W - mean) / sqrt((variance + eps) * fan_in), times a learned gain."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], eps: float = 0.0, **arguments
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **arguments)
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(out_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        fan_in = self.weight[0].numel()
        weight = (self.weight - mean) / ((variance + self.eps) * fan_in).clamp(min=1e-4).sqrt() * self.gain
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class SqueezeExcite(nn.Module):
    """x * sigmoid(expand(relu(reduce(mean of x over positions))))."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, middle)
        self.expand = nn.Linear(middle, channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean(dim=(2, 3))))))
        return x * weight[:, :, None, None]


class Mixed(nn.Module):
    """mixed: the shortcut is partial of the input.

    8x12x12 -> 8x12x12.
    """

    def __init__(self) -> None:
        super().__init__()
        self.groupnorm1 = nn.GroupNorm(2, 8)
        self.conv1 = nn.Conv2d(8, 4, 1, bias=False)
        self.groupnorm2 = nn.GroupNorm(2, 4)
        self.conv2 = nn.Conv2d(8, 4, (1, 3), padding=(0, 1), bias=False)
        self.groupnorm3 = nn.GroupNorm(2, 4)
        self.conv3 = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), bias=False)
        self.groupnorm4 = nn.GroupNorm(2, 4)
        self.conv4 = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
        self.se = SqueezeExcite(8, 2)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        nn.init.orthogonal_(self.conv4.weight)
        for weight in (self.se.reduce.weight, self.se.expand.weight):
            nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
        for weight in (self.se.reduce.bias, self.se.expand.bias):
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        path1 = F.silu(self.groupnorm1(x))
        path2 = F.silu(self.groupnorm2(self.conv1(path1)))
        path3 = F.silu(self.groupnorm3(self.conv2(path1)))
        path3 = F.silu(self.groupnorm4(self.conv3(path3)))
        y = torch.cat([path2, path3], dim=1)
        y = self.conv4(y)
        return append_zeros(F.relu(x[:, :4]), 8) + self.se(y)


class Gated(nn.Module):
    """gated: the shortcut is gate -> dropout of the input, then the operators after the addition.

    8x12x12 -> 8x12x12 (2 times).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.shortcut_gate = nn.Conv2d(8, 8, 1)
        self.shortcut_dropout = nn.Dropout(0.2)
        nn.init.normal_(self.conv1.weight, std=0.08333333333333333)
        nn.init.zeros_(self.conv2.weight)
        nn.init.kaiming_normal_(self.shortcut_gate.weight, mode="fan_in", nonlinearity="relu")
        nn.init.constant_(self.shortcut_gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.bn(self.conv1(x)))
        y = self.scale * self.conv2(y)
        gate = torch.sigmoid(self.shortcut_gate(x))
        y = gate * y
        return F.gelu(self.shortcut_dropout((1 - gate) * x) + y)


class Scaled(nn.Module):
    """scaled: the shortcut is scale of the input.

    8x12x12 -> 8x12x12.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False)
        self.layernorm = ChannelNorm(8, eps=1e-06)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.layernorm(self.conv(x)))
        y = 0.25 * y
        return 0.5 * x + y


class ProjectedNarrow(nn.Module):
    """narrow: the shortcut is pad of the activated input.

    8x12x12 -> 16x6x6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = StandardisedConv2d(8, 16, 3, stride=2, padding=1, bias=False, eps=1e-05)
        self.groupnorm = nn.GroupNorm(2, 16)
        nn.init.normal_(self.conv.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.silu(x)
        return append_zeros(activated, 16, stride=2) + self.groupnorm(self.conv(activated))


class Halved(nn.Module):
    """halved: no shortcut.

    16x6x6 -> 16x6x6.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = append_zeros(append_zeros(self.conv(x[:, :8]), 16), 16, stride=1)
        return self.bn(y)


class Dropped(nn.Module):
    """dropped: the shortcut is the identity.

    16x6x6 -> 16x6x6 (2 times).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.drop_path = DropPath(p, per_sample=False, rescale=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.conv(x))


class Operators(nn.Module):
    """operators: 4x12x12 -> 5, 8 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = StandardisedConv2d(4, 8, 3, padding=1)
        self.stem_groupnorm = nn.GroupNorm(2, 8)
        self.stem_dropout = nn.Dropout(0.1)
        self.stage1 = nn.ModuleList(
            [
                Mixed(),
                *(Gated() for _ in range(2)),
                Scaled(),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                ProjectedNarrow(),
                Halved(),
                *(Dropped(p=p) for p in (0.4375, 0.5)),
            ]
        )
        self.head_layernorm1 = ChannelNorm(16, eps=1e-06)
        self.head_linear1 = nn.Linear(256, 6, bias=False)
        self.head_bn = nn.BatchNorm1d(6, eps=0.001, momentum=0.01)
        self.head_layernorm2 = nn.LayerNorm(6, eps=1e-06)
        self.head_groupnorm = nn.GroupNorm(3, 6)
        self.head_scale2 = nn.Parameter(torch.full((6,), 1.0))
        self.head_linear2 = nn.Linear(6, 5)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        for weight in (self.stem_conv.bias, self.head_linear2.bias):
            nn.init.zeros_(weight)
        nn.init.kaiming_normal_(self.head_linear1.weight, mode="fan_in", nonlinearity="relu")
        nn.init.xavier_normal_(self.head_linear2.weight, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_dropout(F.silu(self.stem_groupnorm(self.stem_conv(x))))  # 8x12x12
        for unit in self.stage1:
            x = unit(x)  # 8x12x12
        for unit in self.stage2:
            x = unit(x)  # 16x6x6
        x = F.avg_pool2d(F.max_pool2d(x, 3, stride=2, padding=1), 2, stride=1, padding=1)
        x = self.head_layernorm1(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        x = self.head_linear1(torch.tanh(x).flatten(1))
        x = self.head_groupnorm(self.head_layernorm2(torch.sigmoid(self.head_bn(x))))
        return self.head_linear2(self.head_scale2 * (0.5 * F.gelu(x)))  # 5
