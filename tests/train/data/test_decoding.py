"""Image files become arrays: as when the whole picture is decoded, scaled and then cut."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from resdsl.diagnostics import SpecError
from resdsl.train.data.cuts import Cut, Extent, centred, covering
from resdsl.train.data.decoding import decoded, require_pillow
from tests.peers.libraries import import_torchvision

SMALL = Extent(28, 28)


def picture(height: int, width: int, *, colours: int = 3) -> np.ndarray:
    """Waves with some noise, as photographs have both."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(y / (9 + 3 * c) + x / (14 - 2 * c)) for c in range(colours)]
    noise = np.random.default_rng(height).normal(0, 6, (height, width, colours))
    return np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def whole(wanted: Extent) -> Cut:
    return Cut(0, 0, wanted.height, wanted.width)


def saved(folder: Path, pixels: np.ndarray, name: str = "a.png", **options: object) -> str:
    Image.fromarray(pixels).save(folder / name, **options)
    return str(folder / name)


@pytest.mark.parametrize("size", [Extent(40, 60), Extent(61, 40), Extent(20, 20), Extent(32, 200)])
def test_evaluation_is_scaling_and_cutting_the_centre(size: Extent, tmp_path: Path) -> None:
    path = saved(tmp_path, picture(size.height, size.width))
    found = decoded(path, SMALL, lambda full: centred(full, SMALL))
    scaled = covering(size, SMALL, 256)
    full = Image.open(path).resize((scaled.width, scaled.height), Image.Resampling.BILINEAR)
    top, left = round((scaled.height - 28) / 2), round((scaled.width - 28) / 2)
    wanted = np.asarray(full)[top : top + 28, left : left + 28]
    assert found.shape == (28, 28, 3)
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_evaluation_is_torchvisions(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed: pip install 'resdsl[peers]'")
    import_torchvision()
    transforms = importlib.import_module("torchvision.transforms")
    path = saved(tmp_path, picture(375, 500), name)
    found = decoded(path, Extent(224, 224), lambda full: centred(full, Extent(224, 224)))
    theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(Image.open(path))
    assert np.abs(found.astype(int) - np.asarray(theirs)).max() <= 1


def test_a_cut_is_mirrored_last(tmp_path: Path) -> None:
    pixels = picture(30, 40)
    path = saved(tmp_path, pixels)
    cut = Cut(1, 5, 28, 28)
    plain = decoded(path, SMALL, lambda _: cut)
    assert np.array_equal(plain, pixels[1:29, 5:33])
    mirrored = decoded(path, SMALL, lambda _: Cut(1, 5, 28, 28, flipped=True))
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert mirrored.flags.c_contiguous


@pytest.mark.parametrize("factor", [4, 8, 16, 24])
def test_large_jpegs_are_decoded_smaller_with_little_difference(factor: int, tmp_path: Path) -> None:
    """At 1/2 to 1/8, against all of their pixels."""
    size = Extent(28 * factor + 3, 36 * factor + 5)
    large = Image.fromarray(picture(size.height // 4, size.width // 4)).resize((size.width, size.height))
    path = saved(tmp_path, np.asarray(large), "a.jpg", quality=95)
    cut = Cut(2.5, 3.5, 28 * factor, 28 * factor)
    found = decoded(path, SMALL, lambda full: cut)
    box = (cut.left, cut.top, cut.left + cut.width, cut.top + cut.height)
    wanted = np.asarray(Image.open(path).resize((28, 28), Image.Resampling.BILINEAR, box=box)).astype(int)
    assert np.abs(found - wanted).max() <= 4
    assert np.abs(found - wanted).mean() <= 0.5
    assert abs((found - wanted).mean()) <= 0.25, "none gets brighter"


def test_jpegs_below_four_times_the_size_are_decoded_whole(tmp_path: Path) -> None:
    path = saved(tmp_path, picture(28 * 4 - 4, 28 * 4 - 4), "a.jpg")
    found = decoded(path, SMALL, whole)
    wanted = np.asarray(Image.open(path).resize((28, 28), Image.Resampling.BILINEAR))
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [1, 8])
def test_photographs_are_turned_upright(orientation: int, factor: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, picture(28 * factor, 40 * factor), "a.jpg", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(path))
    seen: list[Extent] = []

    def cut(full: Extent) -> Cut:
        seen.append(full)
        return Cut(0, 0, 28 * factor, 28 * factor)

    found = decoded(path, SMALL, cut)
    assert seen == [Extent(upright.height, upright.width)]
    wanted = upright.resize((28, 28), Image.Resampling.BILINEAR, box=(0, 0, 28 * factor, 28 * factor))
    assert np.abs(found - np.asarray(wanted).astype(int)).max() <= (1 if factor == 1 else 4)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "YCbCr"])
def test_all_become_colour(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    converted = Image.fromarray(picture(28, 28)).convert(mode)
    converted.save(path)
    found = decoded(str(path), SMALL, whole)
    assert (found.shape, found.dtype) == ((28, 28, 3), np.uint8)
    assert np.array_equal(found, np.asarray(Image.open(path).convert("RGB")))


def test_a_transparent_palette_is_no_warning(tmp_path: Path) -> None:
    Image.fromarray(picture(28, 28)).convert("P").save(tmp_path / "a.png", transparency=bytes(range(256)))
    assert decoded(str(tmp_path / "a.png"), SMALL, whole).shape == (28, 28, 3)


def test_a_png_that_is_called_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.JPEG").write_bytes(Path(saved(tmp_path, picture(28, 28))).read_bytes())
    assert np.array_equal(decoded(str(tmp_path / "a.JPEG"), SMALL, whole), picture(28, 28))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_what_is_no_image_is_named(name: str, tmp_path: Path) -> None:
    path = Path(saved(tmp_path, picture(64, 64), name))
    content = path.read_bytes()
    for broken in (b"", b"text", content[:20], content[: len(content) // 2]):
        path.write_bytes(broken)
        with pytest.raises(SpecError, match=rf"{path} cannot be read as an image"):
            decoded(str(path), SMALL, whole)
    path.unlink()
    with pytest.raises(SpecError, match=rf"{path} cannot be read as an image"):
        decoded(str(path), SMALL, whole)


def test_more_than_8_bits_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, np.full((28, 28), 60_000, np.uint16))
    with pytest.raises(SpecError, match="more than 8 bits"):
        decoded(path, SMALL, whole)


def test_pillow_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "PIL":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.split(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(SpecError, match="pillow, which is not installed") as caught:
        require_pillow()
    assert caught.value.diagnostics[0].code == "missing-library"
