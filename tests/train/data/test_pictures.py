"""Batches of image files: the same for any number of workers and processes, and from any place in a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as pillow  # noqa: N813

from resdsl.diagnostics import SpecError
from resdsl.network.types import Image
from resdsl.train.data import pictures as module
from resdsl.train.data.batches import Batch, Share
from resdsl.train.data.cuts import Extent, centred, drawn
from resdsl.train.data.dataset import Files
from resdsl.train.data.decoding import decoded
from resdsl.train.data.folders import image_folders
from resdsl.train.data.normalisation import normalisation
from resdsl.train.data.order import Stream, epoch_order, generator
from resdsl.train.data.pictures import Pictures, default_workers
from resdsl.train.recipe import IMAGENET, Crop, Normalise, Recipe

SHAPE, SEED = Image(3, 16, 16), 4
SMALL = replace(IMAGENET, batch=4)
CPU = torch.device("cpu")
TRAINED, TESTED = 18, 7


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Files:
    root = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for part, count in (("train", TRAINED), ("val", TESTED)):
        for number in range(count):
            folder = root / part / "abc"[number % 3]
            folder.mkdir(parents=True, exist_ok=True)
            height, width = draw.integers(20, 60, 2)
            pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
            pillow.fromarray(pixels).save(folder / f"{number}.{('png', 'jpg')[number % 2]}")
    return image_folders(root)


def pictures(
    data: Files,
    recipe: Recipe = SMALL,
    share: Share = Share(),
    *,
    workers: int = 0,
    shape: Image = SHAPE,
    seed: int = SEED,
    layout: torch.memory_format = torch.contiguous_format,
) -> Pictures:
    by = normalisation(data, recipe.normalise)
    return Pictures(data, recipe, by, shape, seed=seed, device=CPU, layout=layout, share=share, workers=workers)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.inputs, b.inputs) and torch.equal(a.labels, b.labels) and a.valid == b.valid
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("crop", Crop)
def test_batches_are_cut_as_drawn_for_each_sample(data: Files, crop: Crop) -> None:
    recipe = replace(SMALL, crop=crop)
    by = normalisation(data, Normalise.CHANNEL)
    order = epoch_order(TRAINED, SEED, 2)
    wanted = Extent(16, 16)
    batches = list(pictures(data, recipe).training(2))
    assert len(batches) == TRAINED // 4
    for number, batch in enumerate(batches):
        for row, index in enumerate(order[4 * number : 4 * number + 4]):
            draw = generator(SEED, Stream.AUGMENT, 2, int(index))
            pixels = decoded(
                str(data.train.paths[index]),
                wanted,
                lambda full, draw=draw: drawn(full, wanted, crop, flip=True, draw=draw),
            )
            expected = (pixels.transpose(2, 0, 1) / 255 - by.mean) / by.std
            np.testing.assert_allclose(batch.inputs[row].numpy(), expected, atol=2e-6)
            assert batch.labels[row] == data.train.labels[index]


def test_evaluation_cuts_the_centre(data: Files) -> None:
    by = normalisation(data, Normalise.CHANNEL)
    batches = list(pictures(data).evaluation())
    assert [(len(batch.inputs), batch.valid) for batch in batches] == [(4, 4), (4, 3)]
    inputs = torch.cat([batch.inputs[: batch.valid] for batch in batches])
    assert torch.cat([batch.labels[: batch.valid] for batch in batches]).tolist() == data.test.labels.tolist()
    for path, found in zip(data.test.paths, inputs, strict=True):
        pixels = decoded(str(path), Extent(16, 16), lambda full: centred(full, Extent(16, 16)))
        np.testing.assert_allclose(found.numpy(), (pixels.transpose(2, 0, 1) / 255 - by.mean) / by.std, atol=2e-6)


def test_workers_change_nothing(data: Files) -> None:
    alone, helped = pictures(data), pictures(data, workers=2)
    for epoch in (0, 1):
        assert same(list(alone.training(epoch)), list(helped.training(epoch)))
        assert same(list(alone.evaluation()), list(helped.evaluation()))


def test_workers_stay_over_epochs(data: Files) -> None:
    batches = pictures(data, workers=1)
    list(batches.training(0))
    before = [worker.pid for worker in batches._training._iterator._workers]
    list(batches.training(1))
    assert [worker.pid for worker in batches._training._iterator._workers] == before


@pytest.mark.parametrize("workers", [0, 2])
def test_asking_twice_and_from_the_middle(data: Files, workers: int) -> None:
    batches = pictures(data, workers=workers)
    whole = list(batches.training(3))
    assert same(whole, list(batches.training(3)))
    for start in (1, 3, 4, 5):
        assert same(whole[start:], list(batches.training(3, start)))
    next(batches.training(3))
    assert same(whole, list(batches.training(3))), "after one that was not finished"
    assert not same(whole, list(batches.training(4)))
    assert not same(whole, list(pictures(data, seed=5).training(3)))


@pytest.mark.parametrize("workers", [0, 1])
def test_evaluation_may_come_between(data: Files, workers: int) -> None:
    batches = pictures(data, workers=workers)
    whole, mixed = list(batches.training(0)), []
    for batch in batches.training(0):
        mixed.append(batch)
        assert len(list(batches.evaluation())) == 2
    assert same(whole, mixed)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_new_iterator_ends_the_one_before(data: Files, workers: int) -> None:
    batches = pictures(data, workers=workers)
    first = batches.training(0)
    next(first)
    assert len(list(batches.training(1))) == TRAINED // 4
    with pytest.raises(RuntimeError, match="a newer iterator"):
        next(first)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_the_same_batches(data: Files, world: int) -> None:
    whole = list(pictures(data).training(1))
    shared = [list(pictures(data, share=Share(rank, world)).training(1)) for rank in range(world)]
    for number, batch in enumerate(whole):
        assert torch.equal(torch.cat([batches[number].inputs for batches in shared]), batch.inputs)
        assert torch.equal(torch.cat([batches[number].labels for batches in shared]), batch.labels)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_each_test_sample_once_over_all_processes(data: Files, world: int) -> None:
    wanted = torch.cat([batch.inputs[: batch.valid] for batch in pictures(data).evaluation()])
    shared = [list(pictures(data, share=Share(rank, world)).evaluation()) for rank in range(world)]
    assert {len(batch.inputs) for batches in shared for batch in batches} == {4 // world}
    found = [sample for batches in shared for batch in batches for sample in batch.inputs[: batch.valid]]
    assert len(found) == TESTED
    assert sorted(sample.sum().item() for sample in found) == sorted(sample.sum().item() for sample in wanted)


def test_the_networks_random_numbers_are_left_alone(data: Files) -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    batches = pictures(data)
    list(batches.training(0))
    list(batches.evaluation())
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_batches_lie_in_memory_as_asked_for(data: Files, layout: torch.memory_format) -> None:
    batches = pictures(data, shape=Image(3, 8, 24), layout=layout)
    for batch in [*batches.training(0), *batches.evaluation()]:
        assert batch.inputs.shape == (4, 3, 8, 24)
        assert batch.inputs.is_contiguous(memory_format=layout)
        assert (batch.inputs.dtype, batch.labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_is_no_image_is_named(workers: int, tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part / "a").mkdir(parents=True)
        for number in range(8):
            pillow.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / part / "a" / f"{number}.png")
    broken = [tmp_path / part / "a" / "5.png" for part in ("train", "val")]
    for path in broken:
        path.write_bytes(path.read_bytes()[:40])
    batches = pictures(image_folders(tmp_path), workers=workers)
    for iterate, path in ((lambda: batches.training(0), broken[0]), (batches.evaluation, broken[1])):
        with pytest.raises(SpecError) as caught:
            list(iterate())
        [diagnostic] = caught.value.diagnostics
        assert diagnostic.code == "unreadable"
        assert diagnostic.message.startswith(f"{path} cannot be read as an image: ")


def test_a_worker_that_is_killed(data: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    batches = pictures(data, workers=1)
    monkeypatch.setattr(module, "decoded", killed)
    with pytest.raises(SpecError, match="was ended from outside, or for lack of memory") as caught:
        list(batches.training(0))
    assert caught.value.diagnostics[0].code == "lost-worker"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="who sent a signal is not known here")
def test_signals_to_all_processes_are_for_the_one_that_trains(data: Files, name: str) -> None:
    batches = pictures(data, workers=1)
    whole, interrupted = list(batches.training(0)), []
    for batch in batches.training(0):
        [worker] = batches._training._iterator._workers
        subprocess.run(["kill", f"-{name.removeprefix('SIG')}", str(worker.pid)], check=True)
        interrupted.append(batch)
    assert same(whole, interrupted)


@pytest.mark.slow
def test_workers_end_with_the_program_even_after_an_error(data: Files, tmp_path: Path) -> None:
    """An error's traceback keeps the loader, so that its workers are not told, and are terminated."""
    code = f"""
import torch
from pathlib import Path
from resdsl.network.types import Image
from resdsl.train.data.folders import image_folders
from resdsl.train.data.normalisation import normalisation
from resdsl.train.data.pictures import Pictures
from resdsl.train.recipe import IMAGENET
from dataclasses import replace
data = image_folders(Path({str(data.train.paths[0].parents[2])!r}))
by = normalisation(data, IMAGENET.normalise)
def run():
    batches = Pictures(data, replace(IMAGENET, batch=4), by, Image(3, 16, 16), seed=0, device=torch.device("cpu"), workers=1)
    for batch in batches.training(0):
        raise ValueError("an error of ours")
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: an error of ours")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder = os.fsencode(tmp_path / part / "ü")
        os.makedirs(folder)
        pillow.fromarray(np.full((20, 20, 3), 9, np.uint8)).save(folder + b"/\xff a.png", format="png")
    batches = pictures(image_folders(tmp_path), replace(SMALL, batch=1))
    assert len(list(batches.training(0))) == len(list(batches.evaluation())) == 1


def test_grey_networks_are_refused(data: Files) -> None:
    with pytest.raises(SpecError, match="reads 1x16x16, and imagenet has images in three colours"):
        pictures(data, shape=Image(1, 16, 16))


def test_workers_by_default() -> None:
    assert 1 <= default_workers() <= 8
