"""Random specs that are valid, of everything that passes look at: order and company of operators matter more than depth."""

from __future__ import annotations

from hypothesis import strategies as st

KEEPING = [
    *("bn", "bn", "bn", "bn(eps = 0.01)", "relu", "relu", "relu", "groupnorm(2)", "layernorm", "norm -> act"),
    *("conv(3x3, width)", "conv(1x1, width)", "conv(1x1, width, groups = 2)", "conv(3x3, width, bias = true)"),
    *("conv(3x3, width, standardise = true)", "conv(1x1, width // 2, groups = 2) -> conv(1x1, width, bias = true)"),
    *("scale(0.5)", "scale(-0.5)", "scale(1)", "scale(0.7, learn = true)", "scale(1 + index)", "drop_path(0.2)"),
    *("scale(0.7, learn = true, per_channel = true)", "drop_path(0.3, rescale = false)", "dropout(0.2)"),
    *("maxpool(3x3, 1)", "maxpool(1x1, 1)", "avgpool(3x3, 1, 1)", "avgpool(3x3, 1, 1, count_padding = false)"),
    *("se(2)", "tanh", "sigmoid", "silu", "partial(0.5, conv(1x1, width // 2))", "partial(0.5)"),
    *("concat(bn -> relu -> conv(1x1, width // 2), conv(3x3, width // 2) -> bn)", "concat(bn -> conv(1x1, width))"),
]
"""Chains that keep an image's shape, in a unit with the parameter `width`."""
KEEPING_VECTORS = [
    *("bn", "bn", "relu", "relu", "layernorm", "groupnorm(2)", "linear(width)", "linear(width, bias = false)"),
    *("scale(-0.5)", "scale(0.7, learn = true, per_channel = true)", "dropout(0.2)", "sigmoid", "norm -> act"),
    *("partial(0.5, linear(width // 2))", "concat(bn -> linear(width // 2), linear(width // 2) -> bn)"),
]
PLACEMENTS = [
    *("pre", "pre", "pre", "pre", "post", "bn_after_add", "relu_before_add", "relu_only_pre", "at()"),
    *("at(pre = norm)", "at(pre = norm -> act, mid = norm -> act, post = norm)", "at(pre = norm -> act, after = act)"),
]
CLEAN = ["pre", "pre", "pre", "at(pre = norm)", "at(pre = norm, mid = norm -> act)", "at(mid = norm -> act)"]
"""Of units with a clean path: norms that may go into the stream, with an activation behind them and without."""
SETTINGS = ["", "", "", "", "", "", "act silu", "act identity", "norm groupnorm(2)", "norm layernorm", "norm identity"]
BRANCHES = [
    "conv(3x3, width, stride) -> conv(3x3, width)",
    "conv(1x1, width // 2, stride) -> conv(3x3, width // 2) -> conv(1x1, width)",
    "conv(1x1, width, stride, groups = 2) -> dropout(0.3) -> conv(1x1, width, bias = true)",
    "conv(3x3, width, stride, standardise = true) -> conv(1x1, width) -> scale(0.2, learn = true)",
    "conv(3x3, width, stride) -> conv(3x3, width) -> se(2)",
    "dropout(0.1) -> conv(3x3, width, stride) -> drop_path(0.2, rescale = false)",
    "concat(conv(1x1, width // 2, stride), conv(3x3, width // 2, stride))",
    "maxpool(3x3, 1) -> conv(3x3, width, stride) -> scale(-0.5)",
]
HOLDERS = [
    "{}(width, stride = stride) -> {}(width)",
    "conv(1x1, width, stride) -> {}(width)",
    "conv(3x3, width, stride) -> 2 * {}(width)",
    "bn -> relu -> conv(1x1, width, stride) -> {}(width) -> {}(width) first(tap = activated)",
    "bn -> {}(width, stride = stride) -> bn -> relu -> conv(1x1, width)",
    "relu -> concat({}(width // 2, stride = stride), conv(1x1, width // 2, stride))",
    "2 * {}(width) first(stride = stride) -> conv(1x1, width)",
]
VECTOR_BRANCHES = ["linear(width) -> linear(width)", "linear(width, bias = false)", "dropout(0.1) -> linear(width)"]
VECTOR_HOLDERS = ["{}(width) -> bn -> relu -> linear(width)", "linear(width) -> 2 * {}(width)"]
SHORTCUTS = [
    *("identity",) * 12,
    *("scale(0.5)", "scale(1)", "scale(1, branch = 0.3)", "scale(0.5, branch = -0.5)", "scale(0.7, learn = true)"),
    *(
        "gate(-1)",
        "gate(-1, branch = true)",
        "none",
        "none",
        "dropout(0.5)",
        "partial(0.5)",
        "bn",
        "relu",
        "bn -> relu",
    ),
    *("scale(1, branch = 0.5) -> gate(0, branch = true)", "drop_path(0.1, rescale = false)"),
]
IMAGE_SHORTCUTS = [
    *SHORTCUTS,
    *("conv(1x1)", "conv(1x1)", "conv(1x1) -> bn", "conv(3x3)", "conv(1x1, standardise = true)", "maxpool(3x3, 1)"),
    *("bn -> conv(1x1)", "avgpool(3x3, 1, 1) -> conv(1x1)", "maxpool(3x3, 1) -> conv(1x1)", "relu -> conv(1x1)"),
    *("conv(1x1) -> gate(1)", "conv(1x1, groups = 2) -> scale(0.5, branch = 2)", "pad"),
]
SHARED = ["identity", "conv(1x1)", "conv(1x1) -> bn", "maxpool(3x3, 1) -> conv(1x1)", "relu -> conv(1x1)", "conv(3x3)"]
"""On shortcuts that read `activated`."""
VECTOR_SHARED = ["identity", "linear", "linear -> bn", "relu -> linear"]
VECTOR_SHORTCUTS = [*SHORTCUTS, "linear", "linear -> bn", "bn -> linear", "relu -> linear"]
PROJECTIONS = [
    *(
        "conv(1x1)",
        "conv(1x1)",
        "conv(1x1) -> bn",
        "pad",
        "pad",
        "conv(3x3)",
        "bn -> conv(1x1)",
        "scale(2) -> conv(1x1)",
    ),
    *("relu -> conv(1x1)", "maxpool(3x3, 1) -> conv(1x1)", "conv(1x1) -> scale(0.5, branch = 0.5)", "none"),
    *(
        "maxpool(3x3, 1) -> pad",
        "conv(1x1, standardise = true)",
        "pad -> scale(0.5)",
        "conv(1x1, bias = true) -> dropout(0)",
    ),
]
VECTOR_PROJECTIONS = ["linear", "linear(bias = false)", "pad", "bn -> linear", "none"]
AFTERS = ["", "", "", "", "identity", "relu", "bn", "bn -> relu", "scale(-0.5)", "dropout(0.1)", "maxpool(3x3, 1)"]
VECTOR_AFTERS = ["", "", "identity", "relu", "bn -> relu"]
TAPS = ["", "", "", " from tap", " from input", " from activated"]
STEMS = [
    *(
        "conv(3x3, 8)",
        "conv(3x3, 8)",
        "conv(1x1, 8, bias = true)",
        "conv(3x3, 8) -> bn -> relu",
        "conv(3x3, 8) -> relu",
    ),
    *("conv(3x3, 8, padding = 2) -> maxpool(3x3, 2)", "conv(3x3, 8) -> bn -> relu -> maxpool(2x2, 1)"),
    *("conv(3x3, 8) -> groupnorm(2)", "conv(3x3, 8) -> scale(-2)", "conv(1x1, 8, standardise = true)"),
    *("bn -> conv(3x3, 8)", "conv(3x3, 8) -> u0(8)", "conv(3x3, 8) -> concat(u0(8), relu) -> conv(1x1, 8)"),
]
VECTOR_STEMS = ["linear(8)", "linear(8) -> bn -> relu", "linear(8) -> u0(8)", "bn -> linear(8, bias = false)"]
HEADS = [
    *("bn -> relu -> avgpool", "bn -> relu -> avgpool", "avgpool", "bn -> relu -> flatten", "relu -> avgpool -> bn"),
    *("avgpool -> bn -> relu", "flatten -> bn", "bn -> avgpool", "bn -> maxpool(2x2, 2) -> flatten -> bn -> relu"),
    *("conv(1x1, 4) -> bn -> relu -> avgpool", "groupnorm(2) -> flatten", "bn -> dropout(0.1) -> relu -> flatten"),
]
VECTOR_HEADS = ["bn -> relu", "bn", "dropout(0.1)", "layernorm", "relu -> bn"]
BETWEEN = ["{}"] * 7 + ["relu -> {}", "{} -> bn -> relu", "dropout(0.1) -> {}", "{} -> scale(-2)", "bn -> {}"]
CALLS = ["{u}({w})", "3 * {u}({w})", "3 * {u}({w})", "3 * {u}({w}) first(tap = activated)", "{u}({w}) -> {v}({w})"]
CHANGES = ["2 * {u}({w}) first(stride = 2)", "{u}({w}, stride = 2) -> 2 * {v}({w})", "{u}({w}) -> {v}({w})"]
VECTOR_CHANGES = ["2 * {u}({w})", "{u}({w}) -> 2 * {v}({w})"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Specs of images or vectors: up to three units, some in each other, in up to three stages."""
    if draw(st.integers(0, 5)):
        return _text(draw, IMAGES, "4x5x5")
    return _text(draw, VECTORS, "6")


IMAGES = (KEEPING, BRANCHES, HOLDERS, IMAGE_SHORTCUTS, SHARED, PROJECTIONS, AFTERS, STEMS, HEADS, CHANGES)
VECTORS = (
    *(KEEPING_VECTORS, VECTOR_BRANCHES, VECTOR_HOLDERS, VECTOR_SHORTCUTS, VECTOR_SHARED, VECTOR_PROJECTIONS),
    VECTOR_AFTERS,
    *(VECTOR_STEMS, VECTOR_HEADS, VECTOR_CHANGES),
)


def _text(draw: st.DrawFn, words: tuple[list[str], ...], shape: str) -> str:
    keeping, branches, holders, shortcuts, shared, projections, afters, stems, heads, changes = map(
        st.sampled_from, words
    )
    keeping_chains = st.lists(keeping, min_size=1, max_size=6).map(" -> ".join)
    units: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        if number and draw(st.booleans()):
            branch = draw(holders)
            branch = branch.format(*(f"u{draw(st.integers(0, number - 1))}" for _ in range(branch.count("{}"))))
        else:
            branch = draw(st.one_of(branches, branches, keeping_chains))
        match draw(st.sampled_from(["clean", "clean", "clean", "shared", "odd", "odd"])):
            case "clean":
                placement, setting = draw(st.sampled_from(CLEAN)), ""
                paths = f"shortcut identity projection {draw(projections)}"
                after = ""
            case "shared":
                placement, setting = draw(st.sampled_from(CLEAN)), ""
                paths = f"shortcut {draw(shared)} from activated projection {draw(projections)}"
                after = ""
            case _:
                placement, setting = draw(st.sampled_from(PLACEMENTS)), draw(st.sampled_from(SETTINGS))
                paths = f"shortcut {_tapped(draw, shortcuts)} projection {_tapped(draw, projections)}"
                after = draw(afters)
        units.append(
            f"unit u{number}(width, stride = 1, tap = input) {{\n  placement {placement} {setting}\n  branch {branch}\n"
            f"  {paths}\n{f'  after {after}' if after else ''}\n}}"
        )
    names = st.integers(0, len(units) - 1).map("u{}".format)
    stages: list[str] = []
    width = 8
    for number in range(draw(st.integers(1, 3))):
        wider = number > 0 and draw(st.booleans())
        width = 2 * width if wider else width
        call = draw(changes if wider else st.sampled_from(CALLS))
        call = draw(st.sampled_from(BETWEEN)).format(call)
        stages.append(f"  stage {call.format(u=draw(names), v=draw(names), w=width)}")
    network = [
        f"network n {{\n  input {shape}\n  stem {draw(stems)}",
        *stages,
        f"  head {draw(heads)} -> linear(5)\n}}",
    ]
    return "\n".join(["resnet 1", *units, *network, ""])


def _tapped(draw: st.DrawFn, paths: st.SearchStrategy[str]) -> str:
    path = draw(paths)
    return path if path == "none" else path + draw(st.sampled_from(TAPS))
