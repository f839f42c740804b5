"""A training that diverges stops, and says in which step and in which unit it began; what was saved before stays."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.spec import build
from resdsl.train.compute.execution import Compile, Execution, Precision, Wanted
from resdsl.train.compute.model import training_module
from resdsl.train.compute.step import Meter, Step
from resdsl.train.data.batches import Batch
from resdsl.train.run import checkpoint, log
from resdsl.train.run.checkpoint import checkpoints
from resdsl.train.run.diverged import Found, Where, begins, bound, diverged, replay
from resdsl.train.run.events import Logged
from resdsl.train.run.loop import Intervals
from resdsl.train.run.observe import Direction, observed, parts_of
from resdsl.train.run.snapshot import Snapshot, total
from resdsl.train.schedule import Schedule
from tests.train.tries import RECIPE, SPEC, attempt, left_by, stopped_after

PLAIN = """resnet 1
unit plain(width, factor = 1) {
    branch   conv(3x3, width) -> relu -> conv(3x3, width) -> scale(factor)
    shortcut identity
}
network wild(second = 1) {
    input 3x8x8
    stem  conv(3x3, 4) -> relu
    stage 2 * plain(4)
    stage 2 * plain(4, second)
    head  avgpool -> linear(10)
}
"""
CPU = torch.device("cpu")


def failed(run: Path, *args: object, **options: object) -> str:
    with pytest.raises(SpecError) as caught:
        attempt(run, *args, **options)  # pyright: ignore[reportArgumentType]
    assert caught.value.diagnostics[0].code == "diverged"
    return str(caught.value)


def small_step(spec: str = PLAIN, rate: float = 0.01) -> Step:
    execution = Execution()
    network = build(spec)
    step = Step(training_module(network, initial_weights(network), execution, CPU), RECIPE, execution)
    step.rate.fill_(rate)
    return step


def some_batch(seed: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(8, 3, 8, 8, generator=draw), torch.randint(0, 10, (8,), generator=draw), 8)


@pytest.mark.parametrize("rate", [1e6, 1e30])
@pytest.mark.parametrize("options", [{}, {"wanted": Wanted(accumulate=2)}, {"wanted": Wanted(recompute=True)}], ids=str)
def test_a_rate_that_is_too_high(tmp_path: Path, rate: float, options: dict[str, Wanted]) -> None:
    """The network has dropout and drop_path. After the warm-up of 2 steps, the third update is far out."""
    run = tmp_path / "run"
    said = failed(run, recipe=replace(RECIPE, rate=rate), intervals=Intervals(2, 2), **options)
    assert f"at rate {rate:g}" in said
    assert "in step 3 of 13" in said or "in step 4 of 13" in said
    assert "step 2 was still good" in said
    assert "a lower rate" in said
    assert [path.stem for path in checkpoints(run)] == ["00000002"]
    assert all(tensor.isfinite().all() for tensor in checkpoint.read(checkpoints(run)[-1]).weights.values())
    assert [event.iteration for event in log.history(run)] == [2, 2]
    assert (run / "best.safetensors").is_file()


def test_the_unit_is_named(tmp_path: Path) -> None:
    """Factors of 1e30 in the second stage's branches: 1e30 in its first unit, no float32 in its second."""
    said = failed(tmp_path / "run", PLAIN.replace("second = 1", "second = 1e30"))
    assert "training diverged in step 1 of 13, at rate 0.01: the output of stage2.1 is not finite" in said
    assert "stage2.0: 4x8x8 of root mean square" in said
    assert "stage2.1: 4x8x8 of root mean square" in said
    assert "→ 4x8x8 of no finite number" in said
    assert "step 0 was still good" in said
    assert not checkpoints(tmp_path / "run")


def test_a_gradient_that_overflows_names_the_unit() -> None:
    """The output is small where the input of a factor is, and the gradient behind it is not."""
    step = small_step(PLAIN.replace("second = 1", "second = 1e-30"))
    step.module.get_parameter("stage2.1.conv1.weight").register_hook(lambda gradient: gradient * math.inf)
    found = begins(seen := observed(step, some_batch()), seen, 1, math.inf)
    assert found is not None
    assert (found.where, found.part) == (Where.GRADIENT, "stage2.1")


def test_gradients_that_overflow_between_units_name_the_one_that_they_went_through() -> None:
    step = small_step()
    dict(parts_of(step.module))["stage1.1"].register_full_backward_hook(
        lambda part, given, taken: (given[0] * math.inf,)
    )
    found = begins(seen := observed(step, some_batch()), seen, 1, math.inf)
    assert found is not None
    assert (found.where, found.part) == (Where.GRADIENT, "stage1.1")


def test_an_update_that_overflows_names_the_tensor() -> None:
    step = small_step(rate=1e38)
    found = begins(seen := observed(step, some_batch()), seen, 1, math.inf)
    assert found is not None
    assert found.where is Where.UPDATE
    assert all(math.isfinite(size) for _, size in seen.gradients)
    assert not step.module.get_parameter(found.part).isfinite().all()


def test_inputs_that_are_not_finite_are_said_to_be_so() -> None:
    step, batch = small_step(), some_batch()
    batch.inputs[3, 1, 2, 2] = math.nan
    found = begins(seen := observed(step, batch), seen, 1, math.inf)
    assert found is not None
    said = str(diverged(found, Schedule(RECIPE, 5), Execution(), 0, 3, math.nan, math.inf))
    assert "what the network reads is not finite" in said


def test_what_overflows_between_parts_is_said_to_be_so() -> None:
    """Average pooling sums before it divides: large finite outputs of the last unit are no finite input of the head's layer."""
    step = small_step()
    unit = dict(parts_of(step.module))["stage2.1"]
    unit.register_forward_hook(lambda part, given, taken: taken * 0 + 3e38)
    found = begins(seen := observed(step, some_batch()), seen, 1, math.inf)
    assert found is not None
    said = str(diverged(found, Schedule(RECIPE, 5), Execution(), 0, 3, math.nan, math.inf))
    assert "what head_linear reads is not finite, and what stage2.1 gives is" in said


def test_a_finite_loss_above_the_bound_names_the_unit_that_grew() -> None:
    """One unit's branch is made 1000 times as strong between two steps."""
    step = small_step(rate=0.0)
    first = observed(step, some_batch())
    with torch.no_grad():
        step.module.get_parameter("stage1.1.conv2.weight").mul_(1000)
    seen = observed(step, some_batch())
    limit = bound(10, Meter(8 * first.loss, 0, 8))
    assert seen.loss > limit
    found = begins(seen, first, 2, limit)
    assert found is not None
    assert (found.where, found.part) == (Where.GROWTH, "stage1.1")
    assert found.growth[1] > 100 * found.growth[0]
    said = str(diverged(found, Schedule(RECIPE, 5), Execution(), 0, 3, seen.loss, limit))
    assert "stage1.1 gives" in said
    assert "above" in said


def test_a_high_loss_at_the_start_is_no_divergence() -> None:
    assert bound(10, Meter(8 * 500.0, 0, 8)) == 20 * 500
    assert bound(10, Meter(8 * 0.1, 0, 8)) == 20 * math.log(10)
    assert bound(10, Meter(math.nan, 0, 8)) == 20 * math.log(10)


@pytest.mark.parametrize("step_of_nan", range(1, 8))
@pytest.mark.parametrize("intervals", [Intervals(3, 5), Intervals(5, 3), Intervals(1, 1), Intervals(4, 4)], ids=str)
def test_no_matter_where_the_interval_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_of_nan: int, intervals: Intervals
) -> None:
    """A step makes the weights not finite: its own loss is finite, and the next one's is not. Nothing of it is saved, and the
    replay, which does not do it again, says that it is not known.
    """
    run, update, steps = tmp_path / "run", Step.update, [0]

    def spoiling(self: Step, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        update(self, inputs, labels)
        steps[0] += 1
        if steps[0] == step_of_nan:
            with torch.no_grad():
                self.module.get_parameter("stage1.1.conv2.weight")[0] = math.inf

    monkeypatch.setattr(Step, "update", spoiling)
    said = failed(run, intervals=intervals)
    good = (step_of_nan - 1) // intervals.log * intervals.log
    checked = min(-(-step_of_nan // each) * each for each in (intervals.log, intervals.evaluate))
    assert f"diverged between step {good} and step {checked} of 13" in said
    assert "which unit did it is not known" in said
    saved = [int(path.stem) for path in checkpoints(run)]
    assert max(saved, default=0) == (step_of_nan - 1) // intervals.evaluate * intervals.evaluate
    for path in checkpoints(run):
        state = checkpoint.read(path)
        assert all(tensor.isfinite().all() for tensor in (*state.weights.values(), *state.momentum.values()))
    assert all(math.isfinite(event.loss) for event in log.history(run))


def test_stopping_saves_nothing_that_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stopped_after(4):
        said = failed(tmp_path / "run", recipe=replace(RECIPE, rate=1e38, warmup=3), intervals=Intervals(9, 9))
    assert "in step 4 of 13" in said
    assert not checkpoints(tmp_path / "run")


def test_resumed_it_diverges_at_the_same_step(tmp_path: Path) -> None:
    run, recipe = tmp_path / "run", replace(RECIPE, rate=1e30, warmup=6)
    first = failed(run, recipe=recipe)
    before = left_by(run)
    assert failed(run, recipe=recipe, resume=True).splitlines()[0] == first.splitlines()[0]
    assert left_by(run) == before


def test_the_replay_is_what_was_done(tmp_path: Path) -> None:
    """From the snapshot, the same steps give the same weights: nothing of the first time is left over."""
    step = small_step(SPEC)
    batches = [some_batch(seed) for seed in range(4)]
    snapshot = Snapshot(step, 0)
    torch.manual_seed(3)
    for batch in batches:
        step.update(batch.inputs, batch.labels)
    after = {name: tensor.clone() for name, tensor in step.module.state_dict().items()}
    torch.manual_seed(3)
    assert replay(step, snapshot, batches, lambda iteration: None, 4, math.inf) is None
    assert all(torch.equal(after[name], tensor) for name, tensor in step.module.state_dict().items())


def test_signals_are_those_of_the_module() -> None:
    """Root mean squares against the layers called one by one."""
    step, batch = small_step(rate=0.0), some_batch()
    parts = dict(parts_of(step.module))
    assert list(parts) == ["stem_conv", "stage1.0", "stage1.1", "stage2.0", "stage2.1", "head_linear"]
    x = batch.inputs
    expected = []
    with torch.no_grad():
        for name, part in parts.items():
            read = x.mean((2, 3)) if name == "head_linear" else x
            x = part(read)
            expected.append((name, float(read.square().mean().sqrt()), float(x.square().mean().sqrt())))
            x = x.relu() if name == "stem_conv" else x
    seen = observed(step, batch)
    forward = [(s.part, s.read, s.gave) for s in seen.signals if s.direction is Direction.FORWARD]
    assert [name for name, *_ in forward] == [name for name, *_ in expected]
    for ours, theirs in zip(forward, expected, strict=True):
        assert ours[1:] == pytest.approx(theirs[1:], rel=1e-5)
    assert [s.part for s in seen.signals if s.direction is Direction.BACK] == list(parts)[::-1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_total_sees_every_tensor(value: float) -> None:
    step = small_step(SPEC)
    assert math.isfinite(float(total(step)))
    for tensor in (*step.module.state_dict().values(), *step.momentum().values(), step.sums):
        flat = tensor.detach().view(-1)
        kept = flat[-1].clone()
        flat[-1] = value
        assert not math.isfinite(float(total(step)))
        flat[-1] = kept
    assert math.isfinite(float(total(step)))


def test_what_is_tried_next_depends_on_what_was_done() -> None:
    found = Found(Where.LOSS, 300, "", math.nan)
    recipe = replace(RECIPE, length=400, warmup=10)
    low = str(diverged(found, Schedule(recipe, 5), Execution(precision=Precision.BF16), 250, 300, math.nan, 46.0))
    assert "`--precision fp32`" in low
    none = diverged(None, Schedule(recipe, 5), Execution(compile=Compile.UNITS), 250, 300, math.nan, 46.0)
    assert "`--compile none` may tell more" in str(none)
    warm = diverged(Found(Where.LOSS, 3, "", math.nan), Schedule(recipe, 5), Execution(), 0, 9, math.nan, 46.0)
    assert "at rate 0.01" in str(warm)
    assert "a longer warm-up" not in str(warm)


def test_nothing_waits_for_the_device_between_lines_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is read from a tensor in the steps; at lines, evaluations and checkpoints some are."""
    from torch.overrides import TorchFunctionMode

    names = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero", "__repr__")
    reading = {getattr(torch.Tensor, name): name for name in names}
    read: list[tuple[int, str]] = []
    steps, one = [0], Step.update

    class Watching(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function in reading:
                read.append((steps[0], reading[function]))
            return function(*args, **(kwargs or {}))

    def counted(self: Step, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        steps[0] += 1
        one(self, inputs, labels)

    monkeypatch.setattr(Step, "update", counted)
    lines: list[int] = []
    with Watching():
        attempt(
            tmp_path / "run",
            recipe=replace(RECIPE, length=20),
            intervals=Intervals(6, 10),
            listener=lambda event: lines.append(event.iteration) if isinstance(event, Logged) else None,
        )
    assert lines == [6, 12, 18, 20]
    assert {step for step, _ in read if step} == {6, 10, 12, 18, 20}
    assert len([name for step, name in read if step == 6]) == 1


def test_the_snapshot_takes_what_is_said() -> None:
    """The snapshot takes what the page says: weights, statistics and momentum once more."""
    step = small_step(SPEC)
    snapshot = Snapshot(step, 0)
    kept = sum(tensor.numel() * tensor.element_size() for tensor in snapshot._kept)
    parameters = sum(p.numel() for p in step.module.parameters())
    buffers = sum(b.numel() for b in step.module.buffers())
    assert kept == 8 * parameters + 4 * buffers + 3 * 8
