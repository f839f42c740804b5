"""preact152: Pre-activation ResNet-152 (He et al. 2016, appendix); 60,185,128 parameters. The stem keeps its
BN and ReLU, so the first unit has none of its own at its head. Libraries have both (`first = pre`, 128
parameters more), or take BN and ReLU from the stem (`first = pre`, `lead = identity`).

3x224x224 -> 1000; 60,185,128 parameters. Written by resdsl 0.1.0.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ProjectedBottleneck(nn.Module):
    """bottleneck: the shortcut is conv of the input.

    64x56x56 -> 256x56x56.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(64, 64, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 256, 1, bias=False)
        self.shortcut_conv = nn.Conv2d(64, 256, 1, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight, self.shortcut_conv.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return self.shortcut_conv(x) + self.conv3(y)


class Bottleneck(nn.Module):
    """bottleneck: the shortcut is the identity.

    256x56x56 -> 256x56x56 (2 times), 512x28x28 -> 512x28x28 (7 times), 1024x14x14 -> 1024x14x14 (35 times),
    2048x7x7 -> 2048x7x7 (2 times).
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


class ProjectedBottleneck2(nn.Module):
    """bottleneck: the shortcut is conv of the activated input.

    256x56x56 -> 512x28x28, 512x28x28 -> 1024x14x14, 1024x14x14 -> 2048x7x7.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.shortcut_conv = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)
        for weight in (self.conv1.weight, self.conv2.weight, self.conv3.weight, self.shortcut_conv.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        y = F.relu(self.bn2(self.conv1(activated)))
        y = F.relu(self.bn3(self.conv2(y)))
        return self.shortcut_conv(activated) + self.conv3(y)


class Preact152(nn.Module):
    """preact152: 3x224x224 -> 1000, 50 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.stem_bn = nn.BatchNorm2d(64)
        self.stage1 = nn.ModuleList(
            [
                ProjectedBottleneck(),
                *(Bottleneck(channels=256, width=64) for _ in range(2)),
            ]
        )
        self.stage2 = nn.ModuleList(
            [
                ProjectedBottleneck2(in_channels=256, width=128, out_channels=512),
                *(Bottleneck(channels=512, width=128) for _ in range(7)),
            ]
        )
        self.stage3 = nn.ModuleList(
            [
                ProjectedBottleneck2(in_channels=512, width=256, out_channels=1024),
                *(Bottleneck(channels=1024, width=256) for _ in range(35)),
            ]
        )
        self.stage4 = nn.ModuleList(
            [
                ProjectedBottleneck2(in_channels=1024, width=512, out_channels=2048),
                *(Bottleneck(channels=2048, width=512) for _ in range(2)),
            ]
        )
        self.head_bn = nn.BatchNorm2d(2048)
        self.head_linear = nn.Linear(2048, 1000)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem_bn(self.stem_conv(x))), 3, stride=2, padding=1)  # 64x56x56
        for unit in self.stage1:
            x = unit(x)  # 256x56x56
        for unit in self.stage2:
            x = unit(x)  # 512x28x28
        for unit in self.stage3:
            x = unit(x)  # 1024x14x14
        for unit in self.stage4:
            x = unit(x)  # 2048x7x7
        return self.head_linear(F.relu(self.head_bn(x)).mean(dim=(2, 3)))  # 1000
