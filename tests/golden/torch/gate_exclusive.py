"""gate_exclusive: resnet110(shortcut = gate(bias, branch = true))

3x32x32 -> 10; 1,826,746 parameters. Written by resdsl 0.1.0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def append_zeros(x: Tensor, channels: int, stride: int = 1) -> Tensor:
    """Every stride-th pixel of x, with channels of zeros behind its own up to `channels`."""
    if x.dim() == 2:
        return F.pad(x, (0, channels - x.shape[1]))
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))


class Basic(nn.Module):
    """basic: the shortcut is gate of the input, then the operators after the addition.

    16x32x32 -> 16x32x32 (18 times), 32x16x16 -> 32x16x16 (17 times), 64x8x8 -> 64x8x8 (17 times).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut_gate = nn.Conv2d(channels, channels, 1)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.shortcut_gate.weight, mode="fan_in", nonlinearity="relu")
        nn.init.constant_(self.shortcut_gate.bias, -6.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        gate = torch.sigmoid(self.shortcut_gate(x))
        y = gate * y
        return F.relu((1 - gate) * x + y)


class ProjectedBasic(nn.Module):
    """basic: the shortcut is pad -> gate of the input, then the operators after the addition.

    16x32x32 -> 32x16x16, 32x16x16 -> 64x8x8.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut_gate = nn.Conv2d(out_channels, out_channels, 1)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.shortcut_gate.weight, mode="fan_in", nonlinearity="relu")
        nn.init.constant_(self.shortcut_gate.bias, -6.0)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = append_zeros(x, self.out_channels, stride=2)
        gate = torch.sigmoid(self.shortcut_gate(shortcut))
        y = gate * y
        return F.relu((1 - gate) * shortcut + y)


class GateExclusive(nn.Module):
    """gate_exclusive: 3x32x32 -> 10, 54 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(16)
        self.stage1 = nn.ModuleList(Basic(channels=16) for _ in range(18))
        self.stage2 = nn.ModuleList(
            [
                ProjectedBasic(in_channels=16, out_channels=32),
                *(Basic(channels=32) for _ in range(17)),
            ]
        )
        self.stage3 = nn.ModuleList(
            [
                ProjectedBasic(in_channels=32, out_channels=64),
                *(Basic(channels=64) for _ in range(17)),
            ]
        )
        self.head_linear = nn.Linear(64, 10)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_bn(self.stem_conv(x)))  # 16x32x32
        for unit in self.stage1:
            x = unit(x)  # 16x32x32
        for unit in self.stage2:
            x = unit(x)  # 32x16x16
        for unit in self.stage3:
            x = unit(x)  # 64x8x8
        return self.head_linear(x.mean(dim=(2, 3)))  # 10
