"""Networks of bottleneck units: CIFAR (depth 9n+2, "Identity Mappings") and ImageNet (both papers)."""

from torch import Tensor, nn

from .cifar_basic import Placement, chain, conv


class BottleneckUnit(nn.Module):
    """Convolutions 1x1, 3x3, 1x1 of inner width c_out/4: [N, c_in, H, W] -> [N, c_out, H/stride, W/stride].

    The shortcut is the identity of x, the input of the unit. Where the shape changes it is a projection,
    a 1x1 convolution and the placement's post chain, that reads p, the input of the first convolution.
    `stride_in_1x1` says which convolution of the branch has the stride: the first 1x1, or the 3x3.
    `leading` is False for a unit that goes without the placement's pre chain.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        placement: Placement,
        stride_in_1x1: bool,
        leading: bool = True,
    ) -> None:
        super().__init__()
        chains = placement.value
        inner = c_out // 4
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)

        self.pre = chain(chains.pre if leading else "", c_in)
        self.body = nn.Sequential(
            conv(c_in, inner, 1, stride_1x1),
            chain(chains.mid, inner),
            conv(inner, inner, 3, stride_3x3),
            chain(chains.mid, inner),
            conv(inner, c_out, 1),
            chain(chains.post, c_out),
        )
        self.projection: nn.Sequential | None = None
        if c_in != c_out or stride != 1:
            self.projection = nn.Sequential(conv(c_in, c_out, 1, stride), chain(chains.post, c_out))
        self.after = chain(chains.after, c_out)

    def forward(self, x: Tensor) -> Tensor:
        p = self.pre(x)
        shortcut = x if self.projection is None else self.projection(p)
        return self.after(shortcut + self.body(p))


class CifarBottleneck(nn.Module):
    """Bottleneck network of depth 9n+2: [N, 3, 32, 32] -> [N, classes] (n = 18: 164, n = 111: 1001).

    "Identity Mappings", Tables 2 and 3. Stem conv3x3 3->16, then the placement's post and after chains;
    three stages of n units of 64, 128 and 256 channels on 32x32, 16x16 and 8x8 (the first unit of stage 1
    projects 16->64); head: the placement's pre chain, global average pool, linear. The authors' code has the
    stride in the 1x1.
    """

    def __init__(
        self, n: int, classes: int = 10, placement: Placement = Placement.PRE, stride_in_1x1: bool = True
    ) -> None:
        super().__init__()
        chains = placement.value
        self.stem = nn.Sequential(conv(3, 16, 3), chain(chains.post, 16), chain(chains.after, 16))

        units: list[nn.Module] = []
        c_in = 16
        for c_out, stage_stride in ((64, 1), (128, 2), (256, 2)):
            for index in range(n):
                stride = stage_stride if index == 0 else 1
                units.append(BottleneckUnit(c_in, c_out, stride, placement, stride_in_1x1))
                c_in = c_out
        self.units = nn.Sequential(*units)

        self.tail = chain(chains.pre, 256)
        self.linear = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.tail(self.units(self.stem(images)))
        return self.linear(features.mean(dim=(2, 3)))


class ImageNetBottleneck(nn.Module):
    """Bottleneck network for ImageNet: [N, 3, 224, 224] -> [N, classes].

    "Deep Residual Learning", Table 1, and "Identity Mappings", Table 5 and appendix. Blocks (3, 4, 23, 3)
    are depth 101, (3, 8, 36, 3) depth 152, (3, 24, 36, 3) depth 200. Stem conv7x7/2, BN, ReLU, maxpool3x3/2;
    stages of 256, 512, 1024 and 2048 channels on 56x56, 28x28, 14x14 and 7x7; head: the placement's pre
    chain, global average pool, linear. With PRE the stem's BN-ReLU stands for the first unit's leading one.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int] = (3, 8, 36, 3),
        placement: Placement = Placement.PRE,
        stride_in_1x1: bool = True,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        if placement not in (Placement.POST, Placement.BN_AFTER_ADD, Placement.PRE):
            raise ValueError(f"the papers have no ImageNet network with {placement.name}")
        self.stem = nn.Sequential(conv(3, 64, 7, 2), chain("BR", 64), nn.MaxPool2d(3, stride=2, padding=1))

        units: list[nn.Module] = []
        c_in = 64
        for c_out, stage_stride, count in zip((256, 512, 1024, 2048), (1, 2, 2, 2), blocks, strict=True):
            for index in range(count):
                stride = stage_stride if index == 0 else 1
                leading = bool(units)
                units.append(BottleneckUnit(c_in, c_out, stride, placement, stride_in_1x1, leading))
                c_in = c_out
        self.units = nn.Sequential(*units)

        self.tail = chain(placement.value.pre, 2048)
        self.linear = nn.Linear(2048, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.tail(self.units(self.stem(images)))
        return self.linear(features.mean(dim=(2, 3)))
