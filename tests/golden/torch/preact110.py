"""preact110: resnet110(placement = pre)

3x32x32 -> 10; 1,727,962 parameters. Written by resdsl 0.1.0.
"""

from torch import Tensor, nn
from torch.nn import functional as F


def append_zeros(x: Tensor, channels: int, stride: int = 1) -> Tensor:
    """Every stride-th pixel of x, with channels of zeros behind its own up to `channels`."""
    if x.dim() == 2:
        return F.pad(x, (0, channels - x.shape[1]))
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))


class Basic(nn.Module):
    """basic: the shortcut is the identity of the activated input.

    16x32x32 -> 16x32x32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(16)
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = F.relu(self.bn2(self.conv1(activated)))
        return activated + self.conv2(y)


class Basic2(nn.Module):
    """basic: the shortcut is the identity.

    16x32x32 -> 16x32x32 (17 times), 32x16x16 -> 32x16x16 (17 times), 64x8x8 -> 64x8x8 (17 times).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        return x + self.conv2(F.relu(self.bn2(y)))


class ProjectedBasic(nn.Module):
    """basic: the shortcut is pad of the activated input.

    16x32x32 -> 32x16x16, 32x16x16 -> 64x8x8.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = F.relu(self.bn2(self.conv1(activated)))
        return append_zeros(activated, self.out_channels, stride=2) + self.conv2(y)


class Preact110(nn.Module):
    """preact110: 3x32x32 -> 10, 54 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stage1 = nn.ModuleList(
            [
                Basic(),
                *(Basic2(channels=16) for _ in range(17)),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                ProjectedBasic(in_channels=16, out_channels=32),
                *(Basic2(channels=32) for _ in range(17)),
            ]
        )
        self.stage3 = nn.ModuleList(
            [
                ProjectedBasic(in_channels=32, out_channels=64),
                *(Basic2(channels=64) for _ in range(17)),
            ]
        )
        self.head_bn = nn.BatchNorm2d(64)
        self.head_linear = nn.Linear(64, 10)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_conv(x)  # 16x32x32
        for unit in self.stage1:
            x = unit(x)  # 16x32x32
        for unit in self.stage2:
            x = unit(x)  # 32x16x16
        for unit in self.stage3:
            x = unit(x)  # 64x8x8
        return self.head_linear(F.relu(self.head_bn(x)).mean(dim=(2, 3)))  # 10
