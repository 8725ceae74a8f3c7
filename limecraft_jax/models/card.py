"""What is known about a model without loading it: the card that lies beside its weights.

Reading a card needs neither JAX nor Flax, so a page can list its models at once.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limecraft_jax.pixels import prepare
from limecraft_jax.types import unknown

if TYPE_CHECKING:
    from jaxtyping import Float

WEIGHTS = Path(__file__).parent / "weights"
LISTS = ("imagenet",)  # class names that several cards share
PRECISIONS = ("float32", "bfloat16")


def folder() -> Path:
    """Where weights are kept and what was measured; it need not exist.

    ``LIMECRAFT_JAX_CACHE``, else ``~/.cache/limecraft-jax/models``.
    """
    given = os.environ.get("LIMECRAFT_JAX_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache/limecraft-jax/models"


@functools.cache
def class_list(name: str) -> tuple[str, ...]:
    """Class names for which a card only says which list it means; one per line in the file.

    >>> len(class_list("imagenet")), class_list("imagenet")[281]
    (1000, 'tabby')
    """
    if name not in LISTS:
        raise unknown("the class list of a card", name, LISTS)
    return tuple((WEIGHTS / f"{name}.txt").read_text(encoding="utf-8").splitlines())


@dataclasses.dataclass(frozen=True)
class Source:
    """One public file of weights.

    Attributes
    ----------
    repository, revision, file
        Where it lies on the Hugging Face hub; of a package, its version and the path in it.
    size
        Bytes; 0 if not known.
    sha256
        Hash of its contents in hexadecimal; "" if not known.
    package
        Name of the Python package that has it, see `installed`; "" for a file on the hub.
    """

    repository: str
    file: str
    revision: str = "main"
    size: int = 0
    sha256: str = ""
    package: str = ""


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """The facts of one classifier; hashable, so that it can be part of a compilation key.

    Attributes
    ----------
    name
        Key in the registry and stem of the weights file, e.g. ``"digits"``.
    title, about
        One short line, and one or two sentences for a newcomer.
    classes
        Names of the k classes, in the order of the network's outputs. In the file also the name
        of a list, ``"imagenet"``.
    height, width, channels
        What the network sees, in pixels; channels is 1 or 3.
    mean, std
        Per-channel normalization that the network's input layer applies to values in [0, 1].
    batch
        Number of images queried at once.
    accuracy
        Pairs (what was measured, value in [0, 1]) on held-out data.
    data, architecture, trained, license
        Where the training data came from, what the network is, the date of training (ISO), terms.
    parameters
        Number of trained numbers.
    crop
        How a picture of another size is brought to the network's. 0: the whole picture, stretched.
        Otherwise the middle of the picture, after scaling it so that `crop` of its shorter side
        fills the network's; .875 is the usual share for ImageNet.
    resample
        ``"bilinear"`` or ``"bicubic"``; both blur before they shrink.
    network
        Key in `networks.NETWORKS`: the architecture; "" for one that stands in a file of its own.
    family
        Whose arithmetic the weights are for, ``"torch"`` or ``"keras"``: the two pad and pool
        differently.
    precision
        What the network computes in, one of `PRECISIONS`. bfloat16 has 8 significant bits: half the
        memory, and several times the speed on an accelerator made for it, but not on a processor.
    memory
        Most memory that a run at this batch takes, in MB, as measured on a processor; 0 if small.
    work
        Cost of one picture: the billions of operations that a processor does in a product of
        matrices in the same time, as measured; 0 if nobody did.
    source
        Where the weights can be had; None if they are in the package or a user's own.
    """

    name: str
    title: str
    about: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    batch: int = 64
    accuracy: tuple[tuple[str, float], ...] = ()
    data: str = ""
    architecture: str = ""
    trained: str = ""
    license: str = ""
    parameters: int = 0
    crop: float = 0.0
    resample: str = "bilinear"
    network: str = ""
    family: str = "torch"
    precision: str = "float32"
    memory: int = 0
    work: float = 0.0
    source: Source | None = None

    def prepare(self, image: np.ndarray) -> Float[np.ndarray, "h w c"]:
        """Bring a picture to what the network sees; see :func:`types.prepare`."""
        return prepare(image, self.height, self.width, self.channels, self.crop, self.resample)

    def write(self, folder: Path = WEIGHTS) -> Path:
        """Store the card as ``<name>.json`` and return the path."""
        path = folder / f"{self.name}.json"
        fields = dataclasses.asdict(self)
        fields["classes"] = next(
            (name for name in LISTS if class_list(name) == self.classes), self.classes
        )
        path.write_text(json.dumps(fields, indent=1) + "\n")
        return path

    @classmethod
    def read(cls, name: str, folder: Path = WEIGHTS) -> ModelCard:
        """Read a card that lies in a folder."""
        fields = json.loads((folder / f"{name}.json").read_text())
        if isinstance(fields["classes"], str):
            fields["classes"] = class_list(fields["classes"])
        for key in ("classes", "mean", "std"):
            fields[key] = tuple(fields[key])
        fields["accuracy"] = tuple((str(what), float(value)) for what, value in fields["accuracy"])
        fields["source"] = fields.get("source") and Source(**fields["source"])
        return cls(**fields)
