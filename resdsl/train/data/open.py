"""Data sets by name, and where they come from. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from resdsl.diagnostics import did_you_mean, fail
from resdsl.train.data.cifar import CIFAR10, CIFAR100, PAGE, read_cifar
from resdsl.train.data.dataset import Dataset
from resdsl.train.data.digits import digits
from resdsl.train.data.folders import image_folders
from resdsl.train.data.mnist import PAGE as MNIST_PAGE
from resdsl.train.data.mnist import read_mnist
from resdsl.train.data.npz import read_npz

NPZ = ".npz"


@dataclass(frozen=True, slots=True)
class Installed:
    """A data set that comes with a library. says: what it is, for lists."""

    says: str
    opened: Callable[[], Dataset]


@dataclass(frozen=True, slots=True)
class Stored:
    """A data set in a folder. page: where it comes from."""

    says: str
    page: str
    opened: Callable[[Path], Dataset]


DATASETS = MappingProxyType(
    {
        "digits": Installed("1,797 grey images of 8x8, 10 classes, in scikit-learn", digits),
        "mnist": Stored("70,000 grey images of 28x28, 10 classes", MNIST_PAGE, read_mnist),
        "cifar10": Stored("60,000 colour images of 32x32, 10 classes", PAGE, partial(read_cifar, CIFAR10)),
        "cifar100": Stored("60,000 colour images of 32x32, 100 classes", PAGE, partial(read_cifar, CIFAR100)),
        "imagenet": Stored(
            "image files in train/CLASS/ and val/CLASS/: ImageNet's, or your own",
            "https://image-net.org/download.php",
            image_folders,
        ),
    }
)


def open_data(name: str, root: Path | None = None) -> Dataset:
    """One of DATASETS, in the folder `root` if it is a Stored one; or the path of a .npz file, without a root.

    Raises SpecError.
    """
    if name.lower().endswith(NPZ):
        _require_no_root(name, root, "is the file itself")
        return read_npz(Path(name))
    match DATASETS.get(name):
        case Installed(opened=opened):
            _require_no_root(name, root, "comes with scikit-learn")
            return opened()
        case Stored(page=page, opened=opened):
            if root is None:
                raise fail("no-data", f"where {name} lies is not said", help=f"name the folder; it comes from {page}")
            if not root.exists():
                raise fail("no-data", f"there is no folder {root}", help=f"{name} comes from {page}")
            return opened(root)
        case None:
            help = did_you_mean(name, DATASETS) or f"one of {', '.join(DATASETS)}, or a file that ends in {NPZ}"
            if Path(name).is_dir():
                help = f"name a data set, one of {', '.join(DATASETS)}, and this folder as the one where it lies"
            raise fail("unknown-data", f"there is no data set {name!r}", help=help)


def _require_no_root(name: str, root: Path | None, why: str) -> None:
    if root is not None:
        raise fail("no-data", f"{name} {why}, and lies in no folder {root}", help="leave the folder out")
