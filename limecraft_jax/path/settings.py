"""Every choice behind an explanation in one value, checked when it is made."""

from __future__ import annotations

import dataclasses

from limecraft_jax import bounds
from limecraft_jax.path import sample, surrogate
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.replace import MeanColor, Replacement
from limecraft_jax.path.segmenters import KMeans, Segmenter


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every choice behind an explanation; with the image and the mask it fixes all numbers.

    Attributes
    ----------
    segmenter
        How regions are cut into superpixels, one of `segment.SEGMENTERS`.
    inside, outside
        Superpixels wanted inside all drawn regions together (or one count per region) and in the
        rest, each at most `bounds.MOST_COUNT`; 0 keeps a region, or the rest, whole. None: as
        `segment.suggest` shares out `total`.
    total
        Superpixels to share out where no counts are given, at least 1; LIMEcraft's is 100.
    design
        How samples are drawn, one of `sample.DESIGNS`.
    samples
        Number of samples n, the untouched image included; lime's is 1000.
    replacement
        What stands in for a superpixel that is off, one of `replace.REPLACEMENTS`.
    kernel, ridge
        The free half: weights of the samples and penalty of the surrogate.
    seed
        Seed of the samples, a whole number from 0 to `bounds.MOST_SEED`.
    """

    segmenter: Segmenter = KMeans()
    inside: int | tuple[int, ...] | None = None
    outside: int | None = None
    total: int = 100
    design: sample.Design = sample.Balanced()
    samples: int = 1000
    replacement: Replacement = MeanColor()
    kernel: Exponential = Exponential()
    ridge: surrogate.Ridge = surrogate.Ridge()
    seed: int = 0

    def __post_init__(self):
        counts: list[tuple[str, object]] = [("inside", self.inside), ("outside", self.outside)]
        if isinstance(self.inside, tuple):
            counts[:1] = [("each count inside", count) for count in self.inside]
        for name, count in counts:
            if count is not None:
                bounds.whole(name, count, 0, bounds.MOST_COUNT, "0 makes one superpixel")
        bounds.whole("total", self.total, 1, bounds.MOST_COUNT)
        bounds.whole("samples", self.samples, 1, sample.MOST_SAMPLES)
        bounds.whole("seed", self.seed, 0, bounds.MOST_SEED)
