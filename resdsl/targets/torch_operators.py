"""One operator as PyTorch source: how it is made, how it starts, how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from resdsl.network import operators as op
from resdsl.network.names import Named
from resdsl.network.shapes import output, with_channels
from resdsl.network.tensors import operator_tensors
from resdsl.network.types import He, Image, Init, Normal, Orthogonal, PerCopy, Shape, Xavier, Zero

LONG = 64
"""An expression of more characters than this is assigned before more is applied to it."""

Hole = Callable[[str, PerCopy], str]
"""Writes a number that may differ between units of the same form: what kind of number, and its value here."""

HELPERS: dict[str, str] = {
    "append_zeros": '''
def append_zeros(x: Tensor, channels: int, stride: int = 1) -> Tensor:
    """Every stride-th pixel of x, with channels of zeros behind its own up to `channels`."""
    if x.dim() == 2:
        return F.pad(x, (0, channels - x.shape[1]))
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))
''',
    "DropPath": '''
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
''',
    "ChannelNorm": '''
class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of an image, at each position."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
''',
    "StandardisedConv2d": '''
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
''',
    "SqueezeExcite": '''
class SqueezeExcite(nn.Module):
    """x * sigmoid(expand(relu(reduce(mean of x over positions))))."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, middle)
        self.expand = nn.Linear(middle, channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean(dim=(2, 3))))))
        return x * weight[:, :, None, None]
''',
}
"""Source of what a file needs beside torch itself, by name; only what is used is written."""


@dataclass(slots=True)
class Scope:
    """The source of one class while it is written."""

    hole: Hole
    made: list[str] = field(default_factory=list[str])
    started: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """How weights start: what to call with {} for the tensor, and the tensor."""
    statements: list[str] = field(default_factory=list[str])
    helpers: set[str] = field(default_factory=set[str])
    paths: int = 0


def make(named: Named, operator: op.Operator, shape: Shape, scope: Scope) -> None:
    """Writes the attributes of an operator that reads `shape`, and how their weights start."""
    name, hole, channels = f"self.{named.name}", scope.hole, shape.channels
    match operator:
        case op.Conv():
            kind = "StandardisedConv2d" if operator.standardise else "nn.Conv2d"
            if operator.standardise:
                scope.helpers.add("StandardisedConv2d")
            scope.made.append(f"{name} = {kind}({_conv_arguments(operator, channels, hole)})")
        case op.Linear(features=features, bias=bias):
            text = f"{hole('channels', channels)}, {hole('channels', features)}{'' if bias else ', bias=False'}"
            scope.made.append(f"{name} = nn.Linear({text})")
        case op.BatchNorm(eps=eps, momentum=momentum):
            kind = "BatchNorm2d" if isinstance(shape, Image) else "BatchNorm1d"
            rest = _unless(eps, 1e-5, "eps") + _unless(momentum, 0.1, "momentum")
            scope.made.append(f"{name} = nn.{kind}({hole('channels', channels)}{rest})")
        case op.GroupNorm(groups=groups, eps=eps):
            scope.made.append(
                f"{name} = nn.GroupNorm({groups}, {hole('channels', channels)}{_unless(eps, 1e-5, 'eps')})"
            )
        case op.LayerNorm(eps=eps):
            kind = "ChannelNorm" if isinstance(shape, Image) else "nn.LayerNorm"
            if isinstance(shape, Image):
                scope.helpers.add("ChannelNorm")
            scope.made.append(f"{name} = {kind}({hole('channels', channels)}{_unless(eps, 1e-5, 'eps')})")
        case op.Gate():
            kind, kernel = ("nn.Conv2d", ", 1") if isinstance(shape, Image) else ("nn.Linear", "")
            both = hole("channels", channels)
            scope.made.append(f"{name} = {kind}({both}, {hole('channels', channels)}{kernel})")
        case op.Scale(factor=factor, learn=True, per_channel=per_channel):
            start = hole("factor", factor)
            tail = ", 1, 1" if isinstance(shape, Image) else ","
            spread = f"torch.full(({hole('channels', channels)}{tail}), {start})"
            scope.made.append(f"{name} = nn.Parameter({spread if per_channel else f'torch.tensor({start})'})")
        case op.SqueezeExcite(reduction=reduction):
            scope.helpers.add("SqueezeExcite")
            middle = hole("channels", channels // reduction)
            scope.made.append(f"{name} = SqueezeExcite({hole('channels', channels)}, {middle})")
        case op.Dropout(p=p):
            scope.made.append(f"{name} = nn.Dropout({hole('p', p)})")
        case op.DropPath(p=p, per_sample=per_sample, rescale=rescale):
            scope.helpers.add("DropPath")
            scope.made.append(f"{name} = DropPath({hole('p', p)}, per_sample={per_sample}, rescale={rescale})")
        case _:
            pass
    _start(name, operator, shape, scope)


def call(named: Named, operator: op.Operator, shape: Shape, x: str, scope: Scope) -> str:
    """The expression for an operator applied to the expression `x` of shape `shape`; may write statements first."""
    name, hole = f"self.{named.name}", scope.hole
    match operator:
        case op.Relu():
            return f"F.relu({x})"
        case op.Gelu():
            return f"F.gelu({x})"
        case op.Silu():
            return f"F.silu({x})"
        case op.Tanh():
            return f"torch.tanh({x})"
        case op.Sigmoid():
            return f"torch.sigmoid({x})"
        case op.Scale(factor=factor, learn=learn):
            return f"{name if learn else hole('factor', factor)} * {_operand(x)}"
        case op.Gate():
            source = _variable(x, scope)
            return f"(1 - torch.sigmoid({name}({source}))) * {source}"
        case op.MaxPool(kernel=kernel, stride=stride, padding=padding):
            pads = f", padding={_pair(padding)}" if padding != (0, 0) else ""
            return f"F.max_pool2d({x}, {_pair(kernel)}, stride={hole('stride', stride)}{pads})"
        case op.AvgPool(kernel=kernel, stride=stride, padding=padding, count_padding=counts):
            pads = f", padding={_pair(padding)}" if padding != (0, 0) else ""
            pads += "" if counts else ", count_include_pad=False"
            return f"F.avg_pool2d({x}, {_pair(kernel)}, stride={hole('stride', stride)}{pads})"
        case op.GlobalAvgPool():
            return f"{_operand(x)}.mean(dim=(2, 3))"
        case op.Flatten():
            return f"{_operand(x)}.flatten(1)"
        case op.Pad(channels=channels, stride=stride):
            scope.helpers.add("append_zeros")
            return f"append_zeros({x}, {hole('channels', channels)}, stride={hole('stride', stride)})"
        case op.Partial(channels=channels):
            scope.helpers.add("append_zeros")
            source = _variable(x, scope)
            part = f"{source}[:, :{hole('channels', channels)}]"
            inner_shape = with_channels(shape, channels)
            part = call_chain(named.inner[0], inner_shape, part, _next_path(scope), scope)
            return f"append_zeros({part}, {hole('channels', output(operator, shape).channels)})"
        case op.Concat():
            source = _variable(x, scope)
            parts: list[str] = []
            for chain in named.inner:
                path = _next_path(scope)
                part = call_chain(chain, shape, source, path, scope)
                if part != path and not part.isidentifier():
                    scope.statements.append(f"{path} = {part}")
                    part = path
                parts.append(part)
            return f"torch.cat([{', '.join(parts)}], dim=1)"
        case op.Removed():
            return x
        case _:
            return f"{name}({x})"


def call_chain(chain: tuple[Named, ...], shape: Shape, x: str, variable: str, scope: Scope) -> str:
    """The expression for a chain applied to `x`; all but its end is assigned to `variable` in statements, one a layer.

    A layer is a weight layer with the norms and activations before it (if the chain begins with those) or behind it.
    """
    leads = bool(chain) and not _has_weights(chain[0])
    for index, named in enumerate(chain):
        element = named.element
        if isinstance(element, op.Units):
            if x != variable:
                scope.statements.append(f"{variable} = {x}")
            scope.statements += [f"for unit in self.{named.name}:", f"    {variable} = unit({variable})"]
            x = variable
        else:
            breaks = index > 0 and (_has_weights(named) if not leads else _has_weights(chain[index - 1]))
            breaks = breaks or len(x) > LONG
            if breaks and x != variable and not isinstance(chain[index - 1].element, op.Units):
                scope.statements.append(f"{variable} = {x}")
                x = variable
            x = call(named, element, shape, x, scope)
        shape = output(element, shape)
    return x


def is_compound(x: str) -> bool:
    """Whether an expression needs parentheses as an operand."""
    depth = 0
    for index, character in enumerate(x):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and x[index : index + 3] in (" * ", " + ", " - "):
            return True
    return False


def _operand(x: str) -> str:
    return f"({x})" if is_compound(x) else x


def _variable(x: str, scope: Scope) -> str:
    if x.isidentifier():
        return x
    name = _next_path(scope)
    scope.statements.append(f"{name} = {x}")
    return name


def _next_path(scope: Scope) -> str:
    scope.paths += 1
    return f"path{scope.paths}"


def _has_weights(named: Named) -> bool:
    return isinstance(named.element, op.Conv | op.Linear | op.Units | op.Concat | op.Partial)


def _conv_arguments(conv: op.Conv, channels: int, hole: Hole) -> str:
    parts = [hole("channels", channels), hole("channels", conv.channels), _pair(conv.kernel)]
    stride = hole("stride", conv.stride)
    if stride != "1":
        parts.append(f"stride={stride}")
    if conv.padding != (0, 0):
        parts.append(f"padding={_pair(conv.padding)}")
    if conv.dilation != 1:
        parts.append(f"dilation={conv.dilation}")
    if conv.groups != 1:
        parts.append(f"groups={hole('channels', conv.groups)}")
    if not conv.bias:
        parts.append("bias=False")
    if conv.eps != 0:
        parts.append(f"eps={conv.eps!r}")
    return ", ".join(parts)


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else str(pair)


def _unless(value: float, default: float, name: str) -> str:
    return "" if value == default else f", {name}={value!r}"


def _start(name: str, operator: op.Operator, shape: Shape, scope: Scope) -> None:
    def weight(init: Init, attribute: str, module: str) -> None:
        target = f"{module}.{attribute}"
        is_conv = isinstance(operator, op.Conv)
        match init:
            case He(gain=1.0):
                mode = "fan_out" if is_conv else "fan_in"
                scope.started.append((f'nn.init.kaiming_normal_({{}}, mode="{mode}", nonlinearity="relu")', target))
            case He():
                fill = operator_tensors(operator, shape, "")[0].fill
                assert isinstance(fill, Normal)
                scope.started.append((f"nn.init.normal_({{}}, std={scope.hole('std', fill.std)})", target))
            case Xavier(gain=gain):
                scope.started.append((f"nn.init.xavier_normal_({{}}{_unless(gain, 1.0, 'gain')})", target))
            case Orthogonal(gain=gain):
                scope.started.append((f"nn.init.orthogonal_({{}}{_unless(gain, 1.0, 'gain')})", target))
            case Normal(std=std):
                scope.started.append((f"nn.init.normal_({{}}, std={scope.hole('std', std)})", target))
            case Zero():
                scope.started.append(("nn.init.zeros_({})", target))

    match operator:
        case op.Conv(init=init, bias=bias) | op.Linear(init=init, bias=bias):
            weight(init, "weight", name)
            if bias:
                scope.started.append(("nn.init.zeros_({})", f"{name}.bias"))
        case op.Gate(init=init, bias=bias):
            weight(init, "weight", name)
            scope.started.append((f"nn.init.constant_({{}}, {scope.hole('bias', bias)})", f"{name}.bias"))
        case op.SqueezeExcite(init=init):
            for module in (f"{name}.reduce", f"{name}.expand"):
                weight(init, "weight", module)
                scope.started.append(("nn.init.zeros_({})", f"{module}.bias"))
        case _:
            pass
