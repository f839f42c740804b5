"""relu_before_add164: resnet164(placement = relu_before_add)

3x32x32 -> 10; 1,704,154 parameters. Written by resdsl 0.1.0.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ProjectedBottleneck(nn.Module):
    """bottleneck: the shortcut is conv -> bn -> relu of the input.

    16x32x32 -> 64x32x32, 64x32x32 -> 128x16x16, 128x16x16 -> 256x8x8.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut_conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(out_channels)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight, self.shortcut_conv.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.shortcut_bn(self.shortcut_conv(x))) + F.relu(self.bn3(self.conv3(y)))


class Bottleneck(nn.Module):
    """bottleneck: the shortcut is the identity.

    64x32x32 -> 64x32x32 (17 times), 128x16x16 -> 128x16x16 (17 times), 256x8x8 -> 256x8x8 (17 times).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return x + F.relu(self.bn3(self.conv3(y)))


class ReluBeforeAdd164(nn.Module):
    """relu_before_add164: 3x32x32 -> 10, 54 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(16)
        self.stage1 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=16, width=16, out_channels=64, stride=1),
                *(Bottleneck(channels=64, width=16) for _ in range(17)),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=64, width=32, out_channels=128, stride=2),
                *(Bottleneck(channels=128, width=32) for _ in range(17)),
            ]
        )
        self.stage3 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=128, width=64, out_channels=256, stride=2),
                *(Bottleneck(channels=256, width=64) for _ in range(17)),
            ]
        )
        self.head_linear = nn.Linear(256, 10)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_bn(self.stem_conv(x)))  # 16x32x32
        for unit in self.stage1:
            x = unit(x)  # 64x32x32
        for unit in self.stage2:
            x = unit(x)  # 128x16x16
        for unit in self.stage3:
            x = unit(x)  # 256x8x8
        return self.head_linear(x.mean(dim=(2, 3)))  # 10
