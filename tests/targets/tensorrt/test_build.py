"""Engines, really built by TensorRT for RTX, which needs no GPU for it. What they compute is only known where one is."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import random_input
from resdsl.network.initial import initial_weights
from resdsl.network.network import Network, distinct_units, unit_chains
from resdsl.network.operators import OPERATORS
from resdsl.passes.table import passes_of
from resdsl.spec import build as build_network
from resdsl.targets.onnx_compile import compile_onnx
from resdsl.targets.onnx_file import Parts
from resdsl.targets.precision import Form, Precision
from resdsl.targets.tensorrt import build as building
from resdsl.targets.tensorrt.build import build_engine, configure, parse
from resdsl.targets.tensorrt.library import Log, plain
from resdsl.targets.tensorrt.monitor import interruptible
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Hardware
from tests.conftest import Golden
from tests.networks import CASES, SPECS, Case
from tests.targets.tensorrt.chains import CHAINS, UNITS

trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

SMALL = EngineOptions(batch=Batch(1, 2, 4))
HELD = {Precision.FP32: trt.DataType.FLOAT, Precision.FP16: trt.DataType.HALF, Precision.BF16: trt.DataType.BF16}
IN_THE_FAST_LOOP = {"preact110", "gate_exclusive", "resnet50"}
CROSSED = [
    ("resnet164.resnet", "preact164"),
    ("resnet110.resnet", "gate_exclusive"),
    pytest.param("imagenet.resnet", "resnet50", marks=pytest.mark.slow),
]

MORE_COPIES = {
    **{f"{kind}{depth}": f"{kind}20" for kind in ("resnet", "plain", "preact") for depth in (32, 44, 56)},
    **{
        f"{kind}{depth}_{option}": f"{kind}20_{option}"
        for kind in ("resnet", "preact")
        for option in ("b", "c")
        for depth in (32, 44, 56)
    },
    **{f"{kind}{depth}": f"{kind}50" for kind in ("resnet", "preact") for depth in (101, 152)},
    "highway20": "highway10",
    "highway50": "highway10",
    "resnet1001": "resnet164",
    "resnext101": "resnext50",
    "rezero110": "rezero56",
    "seresnet101": "seresnet50",
    "wrn_40_4": "wrn_16_4",
}
"""Networks of the same distinct units as another, more often: TensorRT's parser reads them, and builds the others' engines.

Engines of deep ones are built all the same: of 1001 layers (preact1001), of 200 and of 110.
"""


def typed(
    network: Network,
    precision: Precision = Precision.FP16,
    level: int = 2,
    *,
    functions: bool = False,
    form: Form = Form.TENSORRT,
) -> Parts:
    """The network's model with initial weights; int8 is calibrated on random inputs."""
    return compile_onnx(
        network,
        initial_weights(network),
        passes_of(level),
        precision=precision,
        functions=functions,
        calibration=random_input(network, 4, 1) if precision is Precision.INT8 else None,
        form=form,
    ).parts


def parsed(parts: Parts) -> trt.INetworkDefinition:
    log = Log(trt)
    factory = trt.Builder(log.logger)
    network = factory.create_network(0)
    parse(trt, network, parts, log)
    assert log.errors == []
    keep.append((factory, log))
    return network


keep: list[object] = []
"""A network is only as alive as its builder."""


def layers(network: trt.INetworkDefinition) -> list[trt.ILayer]:
    return [network.get_layer(index) for index in range(network.num_layers)]


def network_text(network: trt.INetworkDefinition) -> str:
    """One line a layer: its kind, its name, and the type and shape of what it gives."""
    lines: list[str] = []
    for layer in layers(network):
        given = [layer.get_output(index) for index in range(layer.num_outputs)]
        shapes = ", ".join(f"{each.dtype.name} {'x'.join(map(str, each.shape))}" for each in given)
        lines.append(f"{layer.type.name:<14} {layer.name:<44} {shapes}".rstrip())
    return "\n".join(lines) + "\n"


def built_ones() -> list[pytest.param]:
    """Every network of specs/, those of Tables 1, 2, 3 and 5 of He et al. 2016 among them.

    What stands twice in specs/ comes once, and of what is there in several sizes of 1000 layers or of images, one.
    """
    left_out = ("_320", "1202", "1202_b", "1001_cifar100", "preact1001:preact1001")
    return [
        pytest.param(case, id=case.name, marks=[] if case.network in IN_THE_FAST_LOOP else [pytest.mark.slow])
        for case in CASES
        if not case.name.endswith(left_out)
    ]


@pytest.mark.parametrize("case", built_ones())
def test_every_network_builds_in_fp16(case: Case) -> None:
    network = case.small()
    parts = typed(network)
    convolutions = [layer for layer in layers(parsed(parts)) if layer.type == trt.LayerType.CONVOLUTION]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in parts.model.graph.node)
    assert {layer.get_output(0).dtype for layer in convolutions} <= {trt.DataType.HALF}
    if case.network in MORE_COPIES:
        return
    engine = build_engine(parts, Builder.RTX, SMALL)
    # The builder leaves out weights that nothing reads: those of branches that start at 0, as in ReZero.
    assert engine.nbytes > 1000


def test_networks_that_get_no_engine_have_the_units_of_one_that_does() -> None:
    named = {case.network: case for case in CASES}
    for name, like in MORE_COPIES.items():
        assert like not in MORE_COPIES
        network, other = named[name].small(), named[like].small()
        assert set(distinct_units(network)) == set(distinct_units(other)), name
        assert (network.stem, network.head) == (other.stem, other.head), name


@pytest.mark.parametrize(("file", "name"), CROSSED)
def test_the_cross(file: str, name: str) -> None:
    parameters = {"image": (3, 64, 64)} if name == "resnet50" else {"n": 2}
    network = build_network(SPECS / file, name, parameters)
    sizes: dict[tuple[Precision, int, bool], int] = {}
    for level in (0, 2):
        for precision in (Precision.FP32, Precision.FP16):
            inlined, called = (typed(network, precision, level, functions=functions) for functions in (False, True))
            plain_layers, function_layers = map(computing, (parsed(inlined), parsed(called)))
            assert plain_layers == function_layers
            assert len(called.model.functions) > 0
            for functions, parts in ((False, inlined), (True, called)):
                sizes[precision, level, functions] = build_engine(parts, Builder.RTX, SMALL).nbytes
    for (precision, level, functions), size in sizes.items():
        assert size == pytest.approx(sizes[precision, level, not functions], rel=0.05)
    if name == "resnet50":  # 25.6 million parameters: the weights are most of the engine
        assert sizes[Precision.FP16, 2, False] < 0.6 * sizes[Precision.FP32, 2, False]
        assert sizes[Precision.FP32, 2, False] > 4 * 25_000_000


def computing(network: trt.INetworkDefinition) -> Counter[tuple[object, object]]:
    """How many layers of each kind and type; constants left out, as each function has its own."""
    found = [layer for layer in layers(network) if layer.type != trt.LayerType.CONSTANT]
    return Counter((layer.type, layer.get_output(0).dtype) for layer in found)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.BF16], ids=lambda each: each.value)
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_reaches_tensorrt(operator: str, precision: Precision) -> None:
    text = f"{UNITS}network n {{ input 8x8x8 stem conv(1x1, 8) {CHAINS[operator]} }}\n"
    network = build_network(text)
    assert OPERATORS[operator] in kinds_of_operators(network)
    parts = typed(network, precision, level=0)
    read = {layer.get_input(0).dtype for layer in layers(parsed(parts)) if layer.type == trt.LayerType.CONVOLUTION}
    assert read == {HELD[precision]}
    assert build_engine(parts, Builder.RTX, SMALL).nbytes > 1000


def kinds_of_operators(network: Network) -> set[type]:
    """Of the chains of the network and of its units."""
    chains = [chain for _, chain in network.sections()]
    chains += [chain for unit in distinct_units(network) for chain in unit_chains(unit)]
    return {type(element) for chain in chains for element in chain}


def test_the_layers_that_tensorrt_reads(golden: Golden) -> None:
    preact = build_network(SPECS / "resnet164.resnet", "preact164", {"n": 1})
    for name, precision, level in (
        ("plain_fp32", Precision.FP32, 0),
        ("folded_fp16", Precision.FP16, 2),
        ("folded_int8", Precision.INT8, 2),
    ):
        parts = typed(preact, precision, level)
        text = network_text(parsed(parts))
        named = {node.name for node in parts.model.graph.node if node.op_type in ("Conv", "Add", "Relu")}
        assert named <= {line.split()[1].split("_output")[0] for line in text.splitlines()}
        golden(f"tensorrt/preact164_n1_{name}.txt", text)
    gated = build_network(SPECS / "resnet110.resnet", "gate_exclusive", {"n": 1})
    golden("tensorrt/gate_exclusive_n1_fp16.txt", network_text(parsed(typed(gated))))


def test_int8_in_the_form_for_onnx_runtime_is_refused_with_its_nodes() -> None:
    network = build_network(SPECS / "resnet164.resnet", "preact164", {"n": 1})
    with pytest.raises(SpecError) as raised:
        build_engine(typed(network, Precision.INT8, form=Form.ORT_CPU), Builder.RTX, SMALL)
    (found,) = raised.value.diagnostics
    assert found.code == "unsupported-model"
    assert found.message.startswith("TensorRT's parser does not take ")
    assert any("quantise" in note or "Quantize" in note for note in found.notes), found.notes
    assert build_engine(typed(network, Precision.INT8), Builder.RTX, SMALL).nbytes > 100_000


def test_an_operator_that_there_is_not_is_named() -> None:
    parts = typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1}))
    parts.model.graph.node[5].op_type = "Whirl"
    with pytest.raises(SpecError, match=f"{parts.model.graph.node[5].name} \\(Whirl\\): "):
        build_engine(parts, Builder.RTX, SMALL)


def test_a_model_that_no_protobuf_holds_is_read_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = typed(build_network(SPECS / "resnet164.resnet", "preact164", {"n": 1}))
    at_once = network_text(parsed(parts))
    monkeypatch.setattr(building, "MAX_ONNX_BYTES", 1000)
    monkeypatch.setattr(building, "model_bytes", lambda _: pytest.fail("the model was made in one piece"))
    assert network_text(parsed(parts)) == at_once


@pytest.mark.parametrize("capabilities", [("7.5",), ("8.0", "8.6", "8.9", "12.0"), ()], ids=str)
def test_gpus_can_be_named(capabilities: tuple[str, ...]) -> None:
    parts = typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1}))
    options = EngineOptions(batch=Batch(1, 2, 4), compute_capabilities=capabilities)
    assert build_engine(parts, Builder.RTX, options).nbytes > 100_000


def test_a_gpu_that_the_builder_does_not_know() -> None:
    parts = typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1}))
    with pytest.raises(
        SpecError, match=r"builds nothing for compute capability 9\.0\n = help: it builds for 7\.5, 8\.0"
    ):
        build_engine(parts, Builder.RTX, EngineOptions(compute_capabilities=("8.9", "9.0")))


def test_the_batch_is_the_profile() -> None:
    log = Log(trt)
    factory = trt.Builder(log.logger)
    network = factory.create_network(0)
    parse(trt, network, typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1})), log)
    profiled: list[tuple[object, ...]] = []

    class Factory:
        def create_builder_config(self) -> object:
            return factory.create_builder_config()

        def create_optimization_profile(self) -> object:
            profile = factory.create_optimization_profile()
            profiled.append(profile)
            return profile

    configure(trt, Factory(), network, Builder.RTX, EngineOptions(batch=Batch(2, 4, 8)))
    shapes = profiled[0].get_shape("input")
    assert [tuple(shape) for shape in shapes] == [(size, 3, 32, 32) for size in (2, 4, 8)]


def configured(options: EngineOptions) -> trt.IBuilderConfig:
    log = Log(trt)
    factory = trt.Builder(log.logger)
    network = factory.create_network(0)
    network.add_input("input", trt.float32, (-1, 3, 8, 8))
    config = configure(trt, factory, network, Builder.RTX, options)
    keep.append((factory, log, network))
    return config


def test_options_are_in_the_configuration() -> None:
    plain_config = configured(EngineOptions())
    assert not plain_config.get_flag(trt.BuilderFlag.TF32)
    assert not plain_config.get_flag(trt.BuilderFlag.REFIT)
    assert not plain_config.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert plain_config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    assert plain_config.num_optimization_profiles == 1
    assert configured(EngineOptions(tf32=True)).get_flag(trt.BuilderFlag.TF32)
    assert configured(EngineOptions(refit=True)).get_flag(trt.BuilderFlag.REFIT)
    assert configured(EngineOptions(version_compatible=True)).get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    limited = configured(EngineOptions(workspace=64, level=5))
    assert limited.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 64 * 2**20
    assert limited.builder_optimization_level == 5
    named = configured(EngineOptions(compute_capabilities=("8.6", "12.0")))
    known = trt.ComputeCapability
    assert [named.get_compute_capability(index) for index in range(named.num_compute_capabilities)] == [
        known.SM86,
        known.SM120,
    ]


class Recorded:
    """Notes what is set on it and called, and gives itself."""

    def __init__(self, said: list[tuple[object, ...]]) -> None:
        object.__setattr__(self, "said", said)

    def __setattr__(self, name: str, value: object) -> None:
        self.said.append((name, value))

    def __getattr__(self, name: str) -> object:
        def call(*arguments: object) -> Recorded:
            self.said.append((name, *arguments))
            return self

        return call


@pytest.mark.parametrize(
    ("hardware", "level"),
    [
        (Hardware.AMPERE_PLUS, trt.HardwareCompatibilityLevel.AMPERE_PLUS),
        (Hardware.SAME_COMPUTE_CAPABILITY, trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY),
    ],
)
def test_hardware_levels_are_set(hardware: Hardware, level: object) -> None:
    """TensorRT for RTX has the level, and does nothing with it."""
    said: list[tuple[object, ...]] = []
    played = Recorded(said)
    network = SimpleNamespace(get_input=lambda _: SimpleNamespace(name="input", shape=(-1, 3, 8, 8)))
    configure(trt, played, network, Builder.TENSORRT, EngineOptions(hardware=hardware))
    assert ("hardware_compatibility_level", level) in said


def test_networks_are_strongly_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT 10 has others; TensorRT for RTX takes the flag and knows no others."""
    made: list[int] = []

    class Factory:
        def create_network(self, flags: int) -> None:
            made.append(flags)
            raise TimeoutError

    monkeypatch.setattr(building, "_factory", lambda *_: Factory())
    with pytest.raises(TimeoutError):
        build_engine(typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1})), Builder.RTX, SMALL)
    assert made == [1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)]


def test_a_build_is_on_the_gpu_that_was_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA knows one for each thread, and the build has a thread of its own."""
    entered: list[tuple[int, int]] = []
    built_in: list[int] = []
    factory = building._factory

    def made(*arguments: object) -> object:
        built_in.append(threading.get_ident())
        return factory(*arguments)

    monkeypatch.setattr(building, "enter", lambda gpu: entered.append((gpu, threading.get_ident())))
    monkeypatch.setattr(building, "_factory", made)
    parts = typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1}))
    build_engine(parts, Builder.RTX, SMALL, gpu=3)
    assert entered == [(3, built_in[0])]
    assert built_in[0] != threading.get_ident()


class Watched:
    """Notes what it is told, and raises a signal at the first step."""

    def __init__(self, number: signal.Signals | None = None) -> None:
        self.number = number
        self.open: list[str] = []
        self.seen: list[str] = []
        self.steps: Counter[str] = Counter()

    def started(self, phase: str, steps: int) -> None:
        assert steps >= 1
        self.open.append(phase)
        self.seen.append(phase)

    def stepped(self, phase: str, step: int) -> None:
        assert phase in self.open
        self.steps[phase] += 1
        if self.number is not None and sum(self.steps.values()) == 1:
            os.kill(os.getpid(), self.number)

    def finished(self, phase: str) -> None:
        self.open.remove(phase)


def test_a_build_is_watched() -> None:
    watched = Watched()
    build_engine(typed(build_network(SPECS / "resnet110.resnet", "preact110", {"n": 1})), Builder.RTX, SMALL, watched)
    assert "Building engine" in watched.seen
    assert watched.open == []
    assert sum(watched.steps.values()) > 10


def test_ctrl_c_ends_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_failed", lambda *_: pytest.fail("the build was reported as failed"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watched = Watched(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            build_engine(typed(build_network(SPECS / "resnet164.resnet", "preact164")), Builder.RTX, SMALL, watched)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "engine" not in {thread.name for thread in threading.enumerate()}


def test_what_a_watcher_raises_ends_the_build(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Watched):
        def stepped(self, phase: str, step: int) -> None:
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        build_engine(typed(build_network(SPECS / "resnet164.resnet", "preact164")), Builder.RTX, SMALL, Broken())
    assert "Traceback" not in capfd.readouterr().err


def test_ctrl_c_while_the_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread may run before `start` returns."""
    ended = threading.Event()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    def build(stop: threading.Event) -> None:
        if stop.wait(20):
            ended.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        interruptible(build)
    assert ended.is_set()


def test_what_a_build_raises_is_raised() -> None:
    def broken(_: threading.Event) -> None:
        raise TimeoutError("broken")

    with pytest.raises(TimeoutError, match="broken"):
        interruptible(broken)


def test_messages_lose_their_places() -> None:
    said = (
        "IBuilder::buildSerializedNetwork: Error Code 6: API Usage Error (Unable to load library: libnvinfer_lean.so.1: "
        "cannot open shared object file In Impl at /_src/runtime/dispatch/libLoader.cpp:305)"
    )
    assert plain(said) == (
        "Error Code 6: API Usage Error (Unable to load library: libnvinfer_lean.so.1: cannot open shared object file)"
    )
