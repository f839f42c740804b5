"""vectors: A 2-shortcut network on vectors, with a gate and a change of width.

10 -> 3; 1,691 parameters. Written by resdsl 0.1.0.
"""

import torch
from torch import Tensor, nn


class Highway(nn.Module):
    """highway: the shortcut is gate of the input.

    10 -> 10 (4 times).
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(10, 10)
        self.linear2 = nn.Linear(10, 10)
        self.shortcut_gate = nn.Linear(10, 10)
        for weight in (self.linear1.weight, self.linear2.weight, self.shortcut_gate.weight):
            nn.init.xavier_normal_(weight, gain=0.1)
        for weight in (self.linear1.bias, self.linear2.bias):
            nn.init.zeros_(weight)
        nn.init.constant_(self.shortcut_gate.bias, -1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.linear1(x))
        y = self.linear2(y)
        gate = torch.sigmoid(self.shortcut_gate(x))
        y = gate * y
        return (1 - gate) * x + y


class ProjectedWider(nn.Module):
    """wider: the shortcut is linear of the input.

    10 -> 16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(10, 16, bias=False)
        self.shortcut_linear = nn.Linear(10, 16, bias=False)
        for weight in (self.linear.weight, self.shortcut_linear.weight):
            nn.init.xavier_normal_(weight, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_linear(x) + self.linear(x)


class Vectors(nn.Module):
    """vectors: 10 -> 3, 5 units."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.ModuleList(
            [
                *(Highway() for _ in range(4)),
                ProjectedWider(),
            ]
        )
        self.head_linear = nn.Linear(16, 3)
        nn.init.xavier_normal_(self.head_linear.weight, gain=0.1)
        nn.init.zeros_(self.head_linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        for unit in self.stage1:
            x = unit(x)  # 16
        return self.head_linear(x)  # 3
