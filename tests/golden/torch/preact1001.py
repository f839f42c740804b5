"""preact1001: ResNet-1001, full pre-activation, for CIFAR (He et al. 2016, Table 3); 10,327,706 parameters.

3x32x32 -> 10; 10,327,706 parameters. Written by resdsl 0.1.0.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ProjectedBottleneck(nn.Module):
    """bottleneck: the shortcut is conv of the activated input.

    16x32x32 -> 64x32x32, 64x32x32 -> 128x16x16, 128x16x16 -> 256x8x8.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.shortcut_conv = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight, self.shortcut_conv.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = F.relu(self.bn2(self.conv1(activated)))
        y = F.relu(self.bn3(self.conv2(y)))
        return self.shortcut_conv(activated) + self.conv3(y)


class Bottleneck(nn.Module):
    """bottleneck: the shortcut is the identity.

    64x32x32 -> 64x32x32 (110 times), 128x16x16 -> 128x16x16 (110 times), 256x8x8 -> 256x8x8 (110 times).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return x + self.conv3(F.relu(self.bn3(y)))


class Preact1001(nn.Module):
    """preact1001: 3x32x32 -> 10, 333 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stage1 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=16, width=16, out_channels=64, stride=1),
                *(Bottleneck(channels=64, width=16) for _ in range(110)),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=64, width=32, out_channels=128, stride=2),
                *(Bottleneck(channels=128, width=32) for _ in range(110)),
            ]
        )
        self.stage3 = nn.ModuleList(
            [
                ProjectedBottleneck(in_channels=128, width=64, out_channels=256, stride=2),
                *(Bottleneck(channels=256, width=64) for _ in range(110)),
            ]
        )
        self.head_bn = nn.BatchNorm2d(256)
        self.head_linear = nn.Linear(256, 10)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_conv(x)  # 16x32x32
        for unit in self.stage1:
            x = unit(x)  # 64x32x32
        for unit in self.stage2:
            x = unit(x)  # 128x16x16
        for unit in self.stage3:
            x = unit(x)  # 256x8x8
        return self.head_linear(F.relu(self.head_bn(x)).mean(dim=(2, 3)))  # 10
