"""nested: Units in units, as in ResNets of ResNets (Zhang et al. 2016): a shortcut over each stage, and one
over all.

3x16x16 -> 4; 69,724 parameters. Written by resdsl 0.1.0.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Inner(nn.Module):
    """inner: the shortcut is the identity, then the operators after the addition.

    8x16x16 -> 8x16x16 (2 times), 16x8x8 -> 16x8x8, 32x4x4 -> 32x4x4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(y)))


class Inner2(nn.Module):
    """inner: the shortcut is the identity.

    8x16x16 -> 8x16x16, 16x8x8 -> 16x8x8, 32x4x4 -> 32x4x4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        for weight in (self.conv1.weight, self.conv2.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return x + self.bn2(self.conv2(y))


class ProjectedInner(nn.Module):
    """inner: the shortcut is conv -> bn of the input, then the operators after the addition.

    8x8x8 -> 16x8x8, 16x4x4 -> 32x4x4.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut_conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(out_channels)
        for weight in (self.conv1.weight, self.conv2.weight, self.shortcut_conv.weight):
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.shortcut_bn(self.shortcut_conv(x)) + self.bn2(self.conv2(y))
        return F.relu(y)


class Level(nn.Module):
    """level: the shortcut is conv -> bn of the input, then the operators after the addition.

    8x16x16 -> 8x16x16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            [
                *(Inner(channels=8) for _ in range(2)),
                Inner2(channels=8),
            ]
        )
        self.shortcut_conv = nn.Conv2d(8, 8, 1, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(8)
        nn.init.kaiming_normal_(self.shortcut_conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.inner:
            y = unit(y)
        return F.relu(self.shortcut_bn(self.shortcut_conv(x)) + y)


class Level2(nn.Module):
    """level: the shortcut is conv -> bn of the input, then the operators after the addition.

    8x8x8 -> 16x8x8.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            [
                ProjectedInner(in_channels=8, out_channels=16),
                Inner(channels=16),
                Inner2(channels=16),
            ]
        )
        self.shortcut_conv = nn.Conv2d(8, 16, 1, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(16)
        nn.init.kaiming_normal_(self.shortcut_conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.inner:
            y = unit(y)
        return F.relu(self.shortcut_bn(self.shortcut_conv(x)) + y)


class Level3(nn.Module):
    """level: the shortcut is conv -> bn of the input.

    16x4x4 -> 32x4x4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            [
                ProjectedInner(in_channels=16, out_channels=32),
                Inner(channels=32),
                Inner2(channels=32),
            ]
        )
        self.shortcut_conv = nn.Conv2d(16, 32, 1, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(32)
        nn.init.kaiming_normal_(self.shortcut_conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.inner:
            y = unit(y)
        return self.shortcut_bn(self.shortcut_conv(x)) + y


class Root(nn.Module):
    """root: the shortcut is conv -> bn of the input, then the operators after the addition.

    8x16x16 -> 32x4x4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.level1 = nn.ModuleList([Level()])
        self.level2 = nn.ModuleList([Level2()])
        self.level3 = nn.ModuleList([Level3()])
        self.shortcut_conv = nn.Conv2d(8, 32, 1, stride=4, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(32)
        nn.init.kaiming_normal_(self.shortcut_conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for unit in self.level1:
            y = unit(y)
        y = F.max_pool2d(y, 2, stride=2)
        for unit in self.level2:
            y = unit(y)
        y = F.max_pool2d(y, 2, stride=2)
        for unit in self.level3:
            y = unit(y)
        return F.relu(self.shortcut_bn(self.shortcut_conv(x)) + y)


class Nested(nn.Module):
    """nested: 3x16x16 -> 4, 9 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(8)
        self.stage1 = nn.ModuleList([Root()])
        self.head_linear = nn.Linear(32, 4)
        nn.init.kaiming_normal_(self.stem_conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.kaiming_normal_(self.head_linear.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_bn(self.stem_conv(x)))  # 8x16x16
        for unit in self.stage1:
            x = unit(x)  # 32x4x4
        return self.head_linear(x.mean(dim=(2, 3)))  # 4
