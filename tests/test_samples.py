"""Samples in files: arrays as they are, images normalised, and one clear sentence for anything else."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from safetensors.numpy import save_file

from resdsl.cli import main
from resdsl.diagnostics import SpecError
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.network.types import Image, Shape, Vector
from resdsl.samples import CIFAR10, IMAGENET, UNIT, Normalisation, read_array, read_samples
from resdsl.verify import Check, Report, Wanted

SHAPE = Image(3, 4, 6)
Make = Callable[[Path], Path]


def samples(count: int = 5) -> NDArray[np.float32]:
    return np.random.default_rng(3).standard_normal((count, 3, 4, 6)).astype(np.float32)


def npy(x: NDArray[np.generic], name: str = "x.npy") -> Make:
    def make(folder: Path) -> Path:
        np.save(folder / name, x)
        return folder / name

    return make


def npz(**arrays: NDArray[np.generic]) -> Make:
    def make(folder: Path) -> Path:
        np.savez_compressed(folder / "x.npz", allow_pickle=True, **arrays)
        return folder / "x.npz"

    return make


def tensors(**arrays: NDArray[np.generic]) -> Make:
    def make(folder: Path) -> Path:
        save_file(arrays, folder / "x.safetensors")
        return folder / "x.safetensors"

    return make


def parts(folder: Path) -> Path:
    """One sample in the first file, the others in two more of other kinds, and something that is no data."""
    np.save(folder / "a.npy", samples()[0])
    (folder / "deeper").mkdir()
    np.savez(folder / "deeper" / "b.npz", samples()[1:3])
    save_file({"x": samples()[3:]}, folder / "deeper" / "c.safetensors")
    (folder / "labels.txt").write_text("3 1 4 1 5")
    return folder


def text(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut(make: Make, keep: float) -> Make:
    def shorter(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(keep * len(data))])
        return path

    return shorter


def inside(make: Make) -> Make:
    return lambda folder: make(folder).parent


@pytest.mark.parametrize(
    "make",
    [
        npy(samples()),
        npy(samples().astype(np.float64)),
        npz(anything=samples()),
        npz(labels=np.arange(5), input=samples()),
        tensors(images=samples()),
        tensors(input=samples(), other=samples(2)),
        parts,
    ],
    ids=["npy", "float64", "npz", "npz-input", "safetensors", "safetensors-input", "folder"],
)
def test_arrays_are_read_as_they_are(make: Make, tmp_path: Path) -> None:
    found = read_samples(make(tmp_path), SHAPE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, samples())


def test_vectors_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(7, dtype=np.float16))
    np.testing.assert_array_equal(read_samples(tmp_path / "x.npy", Vector(7)), np.eye(7))


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_limit_spreads_over_the_data(folder: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(100, dtype=np.float32).reshape(100, 1))
    path = tmp_path if folder else tmp_path / "x.npy"
    assert read_samples(path, Vector(1), limit=4).ravel().tolist() == [0, 25, 50, 75]
    assert len(read_samples(path, Vector(1), limit=100)) == 100


def test_a_limit_spreads_over_all_files_of_a_folder(tmp_path: Path) -> None:
    """100 samples in a large file between small ones; every tenth sample is wanted, and one file has none of these."""
    numbers = np.split(np.arange(100, dtype=np.float32).reshape(-1, 1), [3, 89, 90, 91])
    np.save(tmp_path / "a.npy", numbers[0])
    np.savez(tmp_path / "b.npz", numbers[1])
    save_file({"x": numbers[2]}, tmp_path / "c.safetensors")
    np.save(tmp_path / "d.npy", numbers[3][0])
    np.save(tmp_path / "e.npy", numbers[4])
    assert read_samples(tmp_path, Vector(1), limit=10).ravel().tolist() == list(range(0, 100, 10))
    assert read_samples(tmp_path, Vector(1)).ravel().tolist() == list(range(100))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_no_more_is_held_than_what_is_kept_and_one_file(ending: str, tmp_path: Path) -> None:
    x = np.zeros((500, 4, 16, 16), np.float32)
    for index in range(8):
        if ending == ".npy":
            np.save(tmp_path / f"{index}.npy", x)
        else:
            np.savez_compressed(tmp_path / f"{index}.npz", x)
    tracemalloc.start()
    found = read_samples(tmp_path, Image(4, 16, 16), limit=800)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 800
    held = found.nbytes + (found.nbytes // 8 if ending == ".npy" else x.nbytes)
    assert peak < 1.5 * held < 4 * x.nbytes


HEADER = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1(3, 4, 6), }".ljust(127) + b"\n"
"""One whose brackets do not close."""
UNREADABLE, WRONG = "unreadable", "wrong-input"
NAN = samples()
NAN[2, 1, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda folder: folder / "none.npy", UNREADABLE, "there is no file"),
        (lambda folder: folder / ("x" * 300), UNREADABLE, "there is no file"),
        (lambda folder: folder, WRONG, "holds no samples"),
        (text("x.csv", b"1,2,3"), UNREADABLE, "is no file of samples"),
        (text("x.png", b"\x89PNG"), UNREADABLE, "cannot be read as an image"),
        (text("x.npy", b""), UNREADABLE, "cannot be read as an array"),
        (text("x.npy", b"xxxx"), UNREADABLE, "x.npy cannot be read as an array: it is no .npy file"),
        (text("x.npy", b"PK\x03\x04 and so on"), UNREADABLE, "cannot be read as an array: it is no .npy file"),
        (text("x.npz", b"what is this"), UNREADABLE, "cannot be read as an array: it is no .npz file"),
        (text("x.npz", b"\x93NUMPY"), UNREADABLE, "cannot be read as an array: it is no .npz file"),
        (text("x.npz", b"PK\x03\x04 and so on"), UNREADABLE, "cannot be read as an array"),
        (text("x.safetensors", b"what is this"), UNREADABLE, "cannot be read as safetensors"),
        (cut(npy(samples()), 0.5), UNREADABLE, "cannot be read as an array"),
        (cut(npy(samples()), 0.03), UNREADABLE, "cannot be read as an array"),
        (text("x.npy", HEADER), UNREADABLE, "cannot be read as an array"),
        (cut(npz(x=samples()), 0.6), UNREADABLE, "cannot be read as an array"),
        (cut(tensors(x=samples()), 0.6), UNREADABLE, "cannot be read as safetensors"),
        (inside(cut(npy(samples()), 0.5)), UNREADABLE, "x.npy cannot be read as an array"),
        (npy(np.array([{"a": 1}, None], object)), UNREADABLE, "it holds Python objects, not numbers"),
        (npz(x=np.array([None])), UNREADABLE, "it holds Python objects, not numbers"),
        (npz(), WRONG, "holds no array"),
        (npz(x=samples(), y=samples()), WRONG, "holds 2 arrays, and none is called input"),
        (npy(samples(0)), WRONG, "holds no samples"),
        (npz(x=samples(0)), WRONG, "holds no samples"),
        (npy(samples()[:, :2]), WRONG, "holds 5 x 2 x 4 x 6, and the network reads n x 3 x 4 x 6"),
        (npy(samples()[:, np.newaxis]), WRONG, "holds 5 x 1 x 3 x 4 x 6, and the network reads n x 3 x 4 x 6"),
        (npy(np.float32(3)), WRONG, "holds a single number, and the network reads n x 3 x 4 x 6"),
        (npy((samples() * 9).astype(np.uint8)), WRONG, "holds uint8, and the network reads normalised"),
        (npy(samples() > 0), WRONG, "holds bool, not floating-point numbers"),
        (npy(samples().astype(np.complex64)), WRONG, "holds complex64, not floating-point numbers"),
        (npy(samples().astype("U4")), WRONG, "not floating-point numbers"),
        (npy(NAN), WRONG, "holds NaN, infinity or numbers too large for float32"),
        (npy(samples().astype(np.float64) * 1e300), WRONG, "holds NaN, infinity or numbers too large for float32"),
        (inside(npy(NAN)), WRONG, "holds NaN, infinity or numbers too large for float32"),
    ],
)
def test_what_cannot_be_used_is_said(make: Make, code: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_samples(make(tmp_path), SHAPE)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert message in diagnostic.message
    assert "calibration" not in diagnostic.render()
    assert "allow_pickle" not in diagnostic.render()


def test_one_sample_is_read_without_a_batch(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_samples(npy(samples()[0])(tmp_path), SHAPE), samples()[:1])


def test_channels_last_is_told_from_other_shapes(tmp_path: Path) -> None:
    for x in (samples().transpose(0, 2, 3, 1), samples()[0].transpose(1, 2, 0)):
        with pytest.raises(SpecError, match="put the channels before height and width"):
            read_samples(npy(x)(tmp_path), SHAPE)


def test_the_names_of_arrays_are_listed(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_samples(npz(train=samples(), test=samples())(tmp_path), SHAPE)
    assert caught.value.diagnostics[0].notes == ("train", "test")


def picture(folder: Path, name: str = "a.png", size: tuple[int, int] = (6, 4), mode: str = "RGB") -> Path:
    """Pixels at random, and only these; returns the folder."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    channels = len(pillow.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    pillow.fromarray(pixels.squeeze(), mode=None).save(folder / name)
    return folder


def pixels_of(path: Path) -> NDArray[np.float32]:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    return np.asarray(pillow.open(path), np.float32).transpose(2, 0, 1)


@pytest.mark.parametrize("normalisation", [IMAGENET, CIFAR10, UNIT, Normalisation((0.5,), (0.25,))])
def test_images_are_normalised(normalisation: Normalisation, tmp_path: Path) -> None:
    picture(tmp_path)
    found = read_samples(tmp_path, SHAPE, normalisation=normalisation)
    mean, std = (
        np.broadcast_to(np.reshape(part, (-1, 1, 1)), (3, 1, 1)) for part in (normalisation.mean, normalisation.std)
    )
    np.testing.assert_allclose(found, [(pixels_of(tmp_path / "a.png") / 255 - mean) / std], rtol=1e-5, atol=1e-6)


def test_imagenet_is_the_default(tmp_path: Path) -> None:
    picture(tmp_path)
    np.testing.assert_array_equal(read_samples(tmp_path, SHAPE), read_samples(tmp_path, SHAPE, normalisation=IMAGENET))


def test_images_are_cut_to_the_centre_and_read_in_order(tmp_path: Path) -> None:
    """A picture three times as wide as the network reads, black but for its middle third."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    wide = np.zeros((8, 36, 3), np.uint8)
    wide[:, 12:24] = 255
    pillow.fromarray(wide).save(tmp_path / "b.png")
    (tmp_path / "a").mkdir()
    picture(tmp_path / "a", "z.JPG")
    found = read_samples(tmp_path, SHAPE, normalisation=UNIT)
    assert found.shape == (2, 3, 4, 6)
    assert 0.2 < found[0].mean() < 0.8
    assert found[1, :, :, 1:-1].min() > 0.99


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA"])
def test_every_kind_of_image_becomes_colours(mode: str, tmp_path: Path) -> None:
    assert read_samples(picture(tmp_path, mode=mode), SHAPE).shape == (1, 3, 4, 6)


def test_a_network_that_reads_grey(tmp_path: Path) -> None:
    found = read_samples(picture(tmp_path, mode="L"), Image(1, 4, 6))
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    grey = np.asarray(pillow.open(tmp_path / "a.png"), np.float32) / 255
    np.testing.assert_allclose(found[0, 0], (grey - np.mean(IMAGENET.mean)) / np.mean(IMAGENET.std), rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Image(4, 4, 6), "is an image, and no image becomes 4 x 4 x 6"),
        (Vector(72), "is an image, and no image becomes 72"),
    ],
)
def test_networks_that_read_no_images(shape: Shape, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_samples(picture(tmp_path), shape)
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5, 0.5), (1.0,), "0.5,0.5 does not normalise images"),
        ((), (1.0,), "nothing does not normalise images"),
        ((0.5,), (1.0, 1.0, np.inf), "1,1,inf does not normalise images"),
        ((0.5,), (0.2, 0.0, 0.2), "0.2,0,0.2 is no standard deviation"),
    ],
)
def test_numbers_that_do_not_normalise(mean: tuple[float, ...], std: tuple[float, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Normalisation(mean, std)


def test_one_image_and_every_kind_of_them(tmp_path: Path) -> None:
    for name in ("a.png", "b.bmp", "c.webp", "d.JPEG"):
        picture(tmp_path, name)
    found = read_samples(tmp_path, SHAPE)
    assert found.shape == (4, 3, 4, 6)
    np.testing.assert_array_equal(found[0], found[1], "bmp has the pixels of png")
    np.testing.assert_array_equal(read_samples(tmp_path / "b.bmp", SHAPE), found[1:2])


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_truncated_image_is_an_error(name: str, keep: float, tmp_path: Path) -> None:
    path = picture(tmp_path, name, size=(60, 40)) / name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(SpecError, match="cannot be read as an image"):
        read_samples(tmp_path, SHAPE)


def test_images_of_more_bits_are_refused(tmp_path: Path) -> None:
    """Pillow would make white of every grey from 255 of 65535 on."""
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pillow.fromarray(np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000).save(tmp_path / "x.png")
    with pytest.raises(SpecError, match=r"x\.png holds pixels of more than 8 bits"):
        read_samples(tmp_path, SHAPE)


def test_photos_stand_upright(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    picture(tmp_path, "a.png")
    lying = pillow.open(tmp_path / "a.png").rotate(90, expand=True)
    exif = lying.getexif()
    exif[0x0112] = 6  # the camera was turned: to be shown rotated by 90 degrees clockwise
    lying.save(tmp_path / "b.png", exif=exif)
    found = read_samples(tmp_path, SHAPE)
    np.testing.assert_array_equal(found[0], found[1])


def test_images_and_arrays_do_not_mix(tmp_path: Path) -> None:
    picture(tmp_path)
    np.save(tmp_path / "x.npy", samples())
    with pytest.raises(SpecError, match=r"holds images and arrays"):
        read_samples(tmp_path, SHAPE)


def test_without_pillow_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(SpecError, match=r"pip install 'resdsl\[images\]'"):
        read_samples(tmp_path, SHAPE)


# As `resdsl verify` reads them; run, bench and compile have their own tests.

SPEC = "resnet 1\nnetwork n { input 3x4x6 stem conv(3x3, 4) -> relu head avgpool -> linear(3) }\n"


def verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[Result, list[Wanted], list[object]]:
    """What the command says, and what it asks of the library: the wanted, and the inputs."""
    wanted: list[Wanted] = []
    inputs: list[object] = []

    def taken(network: Network, weights: Weights, x: object, **options: Wanted) -> Report:
        inputs.append(x)
        wanted.append(options["wanted"])
        return Report(network.name, 1, (Check("none", 0.0, 0.0),), ())

    monkeypatch.setattr("resdsl.cli.verify.verify", taken)
    (folder / "n.resnet").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(folder)
    return CliRunner().invoke(main, ["verify", "n.resnet", *arguments]), wanted, inputs


def test_verify_takes_images_as_they_are_normalised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    picture(tmp_path / "images")
    picture(tmp_path / "images", "b.png", size=(9, 9))
    np.save(tmp_path / "x.npy", samples())
    given = (
        "--calibration",
        "images",
        "--precision",
        "int8",
        "--input",
        "x.npy",
        "--mean",
        "0.5",
        "--std",
        "0.2,0.3,0.4",
    )
    result, (wanted,), (x,) = verified(tmp_path, monkeypatch, *given)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.asarray(x), samples())
    expected = read_samples(tmp_path / "images", SHAPE, normalisation=Normalisation((0.5,), (0.2, 0.3, 0.4)))
    assert wanted.calibration is not None
    np.testing.assert_array_equal(wanted.calibration, expected)
    _, _, (x,) = verified(tmp_path, monkeypatch, "--input", "images/a.png")
    np.testing.assert_array_equal(np.asarray(x), read_samples(tmp_path / "images" / "a.png", SHAPE))


def test_verify_reads_a_part_of_many_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", samples(1000))
    _, _, (x,) = verified(tmp_path, monkeypatch, "--input", "x.npy")
    np.testing.assert_array_equal(np.asarray(x), samples(1000)[[index * 1000 // 256 for index in range(256)]])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--input", "x.npy", "--mean", "0"), 2, "--mean is for images, and x.npy holds none"),
        (("--std", "1"), 2, "--std is for images, and none are given"),
        (("--calibration", "x.npy"), 2, "--calibration: this is for `--precision int8`"),
        (("--for", "tensorrt", "--precision", "fp16"), 2, "--for: this is for `--precision int8`"),
        (("--input", "none.npy"), 1, "error[unreadable]: there is no file none.npy"),
        (("--input", ""), 1, "error[unreadable]: the path of the inputs is empty"),
        (("--input", "narrow.npy"), 1, "error[wrong-input]: narrow.npy holds 2 x 3 x 4 x 5, and the network reads"),
        (("--input", "bytes.npy"), 1, "error[wrong-input]: bytes.npy holds uint8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_inputs_that_verify_cannot_take(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", samples())
    np.save(tmp_path / "narrow.npy", samples(2)[..., :5])
    np.save(tmp_path / "bytes.npy", samples(2).astype(np.uint8))
    result, _, inputs = verified(tmp_path, monkeypatch, *arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout, inputs) == (code, "", [])
    assert arguments[0] == "--calibration" or "calibration" not in result.stderr


@pytest.mark.parametrize(
    "make", [npz(inputs=samples(), targets=samples(4)), tensors(inputs=samples(), targets=samples(4))]
)
def test_arrays_that_must_have_their_name(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path)
    assert len(read_array(path, "targets", by_name=True)) == 4
    for alone in (npz(inputs=samples()), tensors(inputs=samples())):
        with pytest.raises(SpecError, match="holds no array called targets"):
            read_array(alone(tmp_path), "targets", by_name=True)
