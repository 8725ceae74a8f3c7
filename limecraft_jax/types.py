"""What flows along the path: arrays with a promise, and the words for what cannot be used.

Images are float32 sRGB in [0, 1], shape (h, w, c), rows first; batches lead with n. Probabilities
lie in [0, 1]. A mask is an int32 map of what the user drew: 0 outside, 1, 2, ... the regions.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float32, Int, Int32


class InputError(ValueError):
    """Something given from outside cannot be used. The text is one sentence fit for a user."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not registered, with the nearest known one."""
    names, shown = list(known), str(name)
    name = shown if len(shown) <= 60 else shown[:57] + "..."
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}."
    return InputError(f"{what} must be a known name, got {str(name)!r}: {hint}")


def frame(size: tuple[int, int], wanted: tuple[int, int], crop: float) -> tuple[int, int]:
    """Size (h, w) to which a picture is scaled before its middle of the wanted size is cut out.

    Parameters
    ----------
    size, wanted
        (h, w) of the picture, and of what the model sees.
    crop
        How much of the picture's side, the one that limits, the model sees; 0 stretches the whole
        picture to the wanted size. A picture of the wanted size is left as it is.

    >>> frame((400, 600), (224, 224), 0.875)
    (256, 384)
    """
    if not crop or tuple(size) == tuple(wanted):
        return wanted
    ratios = [new / old for new, old in zip(wanted, size, strict=True)]
    short = int(np.argmax(ratios))
    side = math.floor(wanted[short] / crop + 1e-6)
    scaled = [round(side * old / size[short]) for old in size]
    return max(scaled[0], wanted[0]), max(scaled[1], wanted[1])


def middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of a picture or mask."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def prepare(
    image: np.ndarray,
    height: int,
    width: int,
    channels: int,
    crop: float = 0.0,
    resample: str = "bilinear",
) -> Float[np.ndarray, "h w c"]:
    """Bring a picture to the size and channels that a model sees; the only such path.

    A picture that already has the right size and channels comes back with the same values.

    Parameters
    ----------
    image
        Values in [0, 1], shape (h, w), (h, w, 1) or (h, w, 3).
    height, width
        Wanted size in pixels.
    channels
        1 (luminance, ITU-R BT.709 weights as in scikit-image's ``rgb2gray``) or 3.
    crop
        See `frame`. 0 keeps the whole picture: another aspect ratio is stretched.
    resample
        ``"bilinear"`` (scikit-image) or ``"bicubic"`` (Pillow, as ImageNet networks are tested).
    """
    from skimage.color import rgb2gray
    from skimage.transform import resize

    image = np.asarray(image, np.float32)
    image = image[..., None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(
            f"an image must have shape (h, w), (h, w, 1) or (h, w, 3), got {image.shape}."
        )
    if channels == 1 and image.shape[2] == 3:
        image = rgb2gray(image)[..., None]
    if channels == 3 and image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    size = frame(image.shape[:2], (height, width), crop)
    if image.shape[:2] != size and resample == "bicubic":
        from PIL import Image

        layers = [Image.fromarray(channel) for channel in np.moveaxis(image, 2, 0)]
        layers = [layer.resize(size[::-1], Image.Resampling.BICUBIC) for layer in layers]
        image = np.stack([np.asarray(layer) for layer in layers], axis=2)
    elif image.shape[:2] != size:
        image = resize(image, size, order=1, anti_aliasing=True)
    image = middle(image, height, width)
    return np.clip(image, 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Which superpixel every pixel belongs to, and which drawn region every superpixel.

    Promise, kept by its one constructor `limecraft_jax.path.segment.segment`: labels are exactly
    0 .. num - 1, every superpixel is one 4-connected piece and lies in one drawn region or
    outside them all. Superpixels are numbered by region, those of the rest come last.

    Parameters
    ----------
    labels
        The superpixel of each pixel.
    region
        The drawn region of each superpixel: its value in the mask, 0 for the rest.
    notes
        Sentences for the user, for example why there are fewer superpixels than asked for.
    """

    labels: Int32[np.ndarray, "h w"]
    region: Int32[np.ndarray, " d"]
    notes: tuple[str, ...] = ()

    @property
    def num(self) -> int:
        """How many superpixels there are, d."""
        return len(self.region)

    @property
    def inside(self) -> Bool[np.ndarray, " d"]:
        """Which superpixels lie in a drawn region."""
        return self.region != 0

    @functools.cached_property
    def areas(self) -> Int[np.ndarray, " d"]:
        """Area of each superpixel in pixels."""
        return np.bincount(self.labels.ravel(), minlength=self.num)


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Everything that cost queries: the samples and what the model said to them.

    The waist of the path. All that is left of `probs` is expensive and computed once; every
    question to the right of it is answered from here in milliseconds.

    Parameters
    ----------
    image
        What the model saw, values in [0, 1].
    segmentation
        The superpixels.
    z
        Which superpixels each sample keeps; row 0 keeps all.
    ratio
        By how much LIME's own law would have drawn each sample more often than the design did.
    replacement
        The image that shows where a superpixel is off.
    probs
        Answers to the first m samples, 0 <= m <= n; row 0 is the answer to the image itself.
    complete
        Whether the samples are all there are, so that nothing is left to chance.
    """

    image: Float32[np.ndarray, "h w c"]
    segmentation: Segmentation
    z: Bool[np.ndarray, "n d"]
    ratio: Float[np.ndarray, " n"]
    replacement: Float32[np.ndarray, "h w c"]
    probs: Float32[np.ndarray, "m k"]
    complete: bool = False

    @property
    def done(self) -> bool:
        """Whether every sample has its answer."""
        return len(self.probs) == len(self.z)


@dataclass(frozen=True, eq=False)
class Fit:
    """A linear surrogate for every class, with its health.

    Parameters
    ----------
    coef
        Coefficient β of each class and superpixel: how much the class probability rises when the
        superpixel is on.
    intercept
        Probability that the surrogate gives to a picture with every superpixel off.
    r2
        Weighted share of the variance of the answers that the surrogate explains, <= 1.
    stderr
        Standard error of each coefficient over repeated draws of the samples.
    weights
        Weight π of each sample.
    dof
        Degrees of freedom of the standard error (number of jackknife groups less one).
    """

    coef: Float[np.ndarray, "k d"]
    intercept: Float[np.ndarray, " k"]
    r2: Float[np.ndarray, " k"]
    stderr: Float[np.ndarray, "k d"]
    weights: Float[np.ndarray, " m"]
    dof: int

    @property
    def local_pred(self) -> Float[np.ndarray, " k"]:
        """What the surrogate predicts for the image itself (lime's ``local_pred``)."""
        return self.intercept + self.coef.sum(axis=1)

    @property
    def effective_samples(self) -> float:
        """Kish's (Σπ)² / Σπ²: how many equally weighted samples these are worth."""
        return float(self.weights.sum() ** 2 / np.maximum((self.weights**2).sum(), 1e-30))

    def interval(self, level: float = 0.95) -> tuple[Float[np.ndarray, "k d"], ...]:
        """Lower and upper end of the interval of each coefficient, by Student's t with `dof`."""
        half = stdtrit(self.dof, (1 + level) / 2) * self.stderr
        return self.coef - half, self.coef + half

    @functools.cached_property
    def sign_probability(self) -> Float[np.ndarray, "k d"]:
        """Probability in [.5, 1] that the sign of a coefficient would stay with endless samples."""
        return stdtr(self.dof, np.abs(self.coef) / self.stderr)


@dataclass(frozen=True)
class Shares:
    """Share of the picture's area that speaks for a class, against it, or for neither; sum is 1."""

    positive: float
    negative: float
    neutral: float


SHARE_RULES = {
    "interval": "neutral = the interval contains 0",
    "limecraft": "neutral = not among the 10 largest coefficients (LIMEcraft's definition)",
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer: which superpixels speak for a class, which against, and how sure that is."""

    neighborhood: Neighborhood
    fit: Fit

    def heatmap(self, target: int) -> Float[np.ndarray, "h w"]:
        """The coefficient of each pixel's superpixel."""
        return self.fit.coef[target][self.neighborhood.segmentation.labels]

    def undecided(self, target: int) -> Bool[np.ndarray, " d"]:
        """Which superpixels have an interval that contains 0."""
        return self._undecided[target]

    @functools.cached_property
    def _undecided(self) -> Bool[np.ndarray, "k d"]:
        low, high = self.fit.interval()
        return (low <= 0) & (high >= 0)

    def top(self, target: int, m: int) -> Int[np.ndarray, " m"]:
        """The m superpixels with the largest |coefficient|, largest first."""
        return np.argsort(-np.abs(self.fit.coef[target]), kind="stable")[:m]

    def shares(self, target: int, rule: str = "interval") -> Shares:
        """How much of the picture's area speaks for the class, against it, or for neither.

        Parameters
        ----------
        target
            Index of the class.
        rule
            ``"interval"``: a superpixel whose interval contains 0 is neutral. ``"limecraft"``: all
            but the 10 largest |coefficients| are neutral (LIMEcraft, `utils.py`), which depends on
            how many superpixels there are.
        """
        coef = self.fit.coef[target]
        if rule == "interval":
            counted = ~self.undecided(target)
        elif rule == "limecraft":
            counted = np.zeros(len(coef), bool)
            counted[self.top(target, 10)] = True
        else:
            raise unknown("rule", rule, SHARE_RULES)
        area = self.neighborhood.segmentation.areas / self.neighborhood.segmentation.labels.size
        positive = float(area[counted & (coef > 0)].sum())
        negative = float(area[counted & (coef < 0)].sum())
        return Shares(positive, negative, 1 - positive - negative)
