"""Holds a module against a formula that takes the module's weights by position."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d, linear


class Reader:
    """Uses up the tensors of a module's state_dict in their order, which must be the order of execution."""

    def __init__(self, module: nn.Module) -> None:
        state = module.state_dict()
        self.tensors = [state[name] for name in state if not name.endswith("num_batches_tracked")]

    def conv(self, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.tensors.pop(0)
        return conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def bn(self, x: Tensor) -> Tensor:
        weight, bias, mean, var = (self.tensors.pop(0)[:, None, None] for _ in range(4))
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def bnr(self, x: Tensor) -> Tensor:
        return self.bn(x).relu()

    def gate(self, x: Tensor) -> Tensor:
        return conv2d(x, self.tensors.pop(0), self.tensors.pop(0)).sigmoid()

    def head(self, x: Tensor) -> Tensor:
        return linear(adaptive_avg_pool2d(x, 1).flatten(1), self.tensors.pop(0), self.tensors.pop(0))


Formula = Callable[[Reader, Tensor], Tensor]


def check(module: nn.Module, channels: int, formula: Formula, size: int = 8) -> None:
    """With random parameters and statistics, in evaluation mode, the module computes the formula."""
    module.double().eval()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif not name.endswith("num_batches_tracked"):
            tensor.normal_(std=0.3)
    x = torch.randn(2, channels, size, size, dtype=torch.float64)
    x_before = x.clone()
    reader = Reader(module)
    with torch.no_grad():
        torch.testing.assert_close(module(x), formula(reader, x), rtol=1e-9, atol=1e-9)
    assert not reader.tensors
    assert torch.equal(x, x_before)
