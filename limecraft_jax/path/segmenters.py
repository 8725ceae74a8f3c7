"""How to cut: one small value for each way to make superpixels.

Counted segmenters look at the image once with `features(rgb)` and then give
`cut(features, mask, count)` for one connected piece in its frame. The others decide themselves how
many superpixels there are: `labels(rgb)` for the whole image. `segment` does the rest. Add one as
a class and its name in `SEGMENTERS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import ndimage
from skimage import segmentation
from skimage.color import rgb2gray, rgb2lab
from skimage.filters import sobel

from limecraft_jax import bounds
from limecraft_jax.path import superpixels
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

COMPACTNESS = (1e-4, 1e6)  # of k-means: below only color counts, above only position


@dataclass(frozen=True)
class KMeans:
    """K-means on color (Lab) and position, with exactly the count asked for.

    The clusters are those of scikit-image's `slic` (Achanta et al. 2012), run on the frame of the
    region from a regular grid of seeds, with the pixels around the region taking the color of its
    nearest one. They are made connected, small ones are merged and large ones halved until the
    count is right. (`slic` with a mask would seed at random and give fewer than asked for.)

    Parameters
    ----------
    compactness
        Weight of position against color, in `COMPACTNESS`. Larger gives squarer superpixels. 10 is
        the default of scikit-image's `slic` and of LIMEcraft (Hryniewska et al. 2022).
    """

    compactness: float = 10.0
    label: ClassVar[str] = "K-means"
    counted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        bounds.number("compactness", self.compactness, *COMPACTNESS)

    def features(self, rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 4"]:
        """Lab color of the image stretched to [0, 1], and the strength of its edges."""
        low, high = rgb.min(), rgb.max()
        lab = rgb2lab((rgb - low) / (high - low) if high > low else rgb)
        # Against noise: a blur of one pixel at 224 × 224.
        lab = ndimage.gaussian_filter(lab, max(rgb.shape) / 224, axes=(0, 1))
        return np.dstack([lab, sobel(lab[..., 0])])

    def cut(
        self, features: Float[np.ndarray, "h w 4"], mask: Bool[np.ndarray, "h w"], count: int
    ) -> Int[np.ndarray, "h w"]:
        """Cut one connected piece into exactly `count` connected superpixels."""
        lab, edges = features[..., :3], features[..., 3]
        area = np.sum(mask)
        if area < 4 * count:  # hardly more pixels than superpixels: join pixels
            labels = np.arange(mask.size).reshape(mask.shape)
        else:
            nearest = ndimage.distance_transform_edt(
                ~mask, return_distances=False, return_indices=True
            )
            lab = lab[tuple(nearest)]
            # slic stretches what it gets to [0, 1], which this compactness takes back.
            labels = segmentation.slic(
                lab,
                n_segments=round(count * mask.size / area),
                compactness=self.compactness / (np.ptp(lab) or 1.0),
                convert2lab=False,
                enforce_connectivity=False,
            )
        return superpixels.fit_count(labels, mask, count, edges)


@dataclass(frozen=True)
class Slic:
    """scikit-image's own SLIC, which may give fewer superpixels than asked for.

    Parameters
    ----------
    compactness
        Weight of position against color, in `COMPACTNESS`; 10 is scikit-image's default.
    """

    compactness: float = 10.0
    label: ClassVar[str] = "SLIC"
    counted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        bounds.number("compactness", self.compactness, *COMPACTNESS)

    def features(self, rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
        """The image as it is."""
        return rgb

    def cut(
        self, features: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], count: int
    ) -> Int[np.ndarray, "h w"]:
        """Cut one connected piece into about `count` superpixels."""
        whole = None if mask.all() else mask
        return segmentation.slic(features, count, compactness=self.compactness, mask=whole)


@dataclass(frozen=True)
class Watershed:
    """Compact watershed on the edges of the image, from a grid of markers, to the exact count.

    Of four segmenters this one came closest to what people mark (Schallner et al. 2020).

    Parameters
    ----------
    compactness
        Weight of distance (pixels) against edge strength (of luminance in [0, 1]), from 0 to 10^6.
        0.001 is the value of scikit-image's comparison of superpixel methods.
    """

    compactness: float = 0.001
    label: ClassVar[str] = "Compact watershed"
    counted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        bounds.number("compactness", self.compactness, 0, COMPACTNESS[1])

    def features(self, rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
        """Strength of the edges of the luminance."""
        return sobel(rgb2gray(rgb))

    def cut(
        self, features: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], count: int
    ) -> Int[np.ndarray, "h w"]:
        """Cut one connected piece into exactly `count` connected superpixels."""
        seeds = superpixels.centers(superpixels.grid(mask, count))
        labels = segmentation.watershed(features, seeds, mask=mask, compactness=self.compactness)
        return superpixels.fit_count(labels, mask, count, 100 * features)


@dataclass(frozen=True)
class Grid:
    """Rows of nearly square cells that ignore the image; exact counts on rectangles only."""

    label: ClassVar[str] = "Grid"
    counted: ClassVar[bool] = True

    def features(self, rgb: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
        """The image as it is."""
        return rgb

    def cut(
        self, features: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], count: int
    ) -> Int[np.ndarray, "h w"]:
        """Cut one connected piece into about `count` cells; less than a quarter joins another."""
        cells = superpixels.connect(superpixels.grid(mask, count), mask)
        return superpixels.merge(cells, np.sum(mask) / (4 * count))


@dataclass(frozen=True)
class Quickshift:
    """Quickshift mode seeking (Vedaldi & Soatto 2008) with the values of the `lime` package.

    Parameters
    ----------
    kernel_size
        Width of the Gaussian kernel of the density in pixels, from 1 to 20 (the time taken grows
        with its square). lime uses 4.
    max_dist
        Largest link between modes, in pixels and Lab units together, from .1 to 10^6; larger gives
        fewer superpixels. lime uses 200.
    ratio
        Weight of color against position, in [0, 1]. lime uses 0.2.
    """

    kernel_size: float = 4.0
    max_dist: float = 200.0
    ratio: float = 0.2
    label: ClassVar[str] = "Quickshift"
    counted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        bounds.number("kernel_size", self.kernel_size, 1, 20)
        bounds.number("max_dist", self.max_dist, 0.1, 1e6)
        bounds.number("ratio", self.ratio, 0, 1)

    def labels(self, rgb: Float[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
        """Cut the whole image."""
        return segmentation.quickshift(
            rgb, kernel_size=self.kernel_size, max_dist=self.max_dist, ratio=self.ratio
        )


@dataclass(frozen=True)
class Felzenszwalb:
    """Graph-based segmentation (Felzenszwalb & Huttenlocher 2004), large where little happens.

    The defaults are those of scikit-image's comparison of superpixel methods.

    Parameters
    ----------
    scale
        Larger gives larger superpixels, from .001 to 10^9.
    sigma
        Width of the Gaussian that smooths the image first, in pixels, from 0 to 100.
    min_size
        Smallest superpixel in pixels, from 1 to 10^8.
    """

    scale: float = 100.0
    sigma: float = 0.5
    min_size: int = 50
    label: ClassVar[str] = "Felzenszwalb"
    counted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        bounds.number("scale", self.scale, 1e-3, 1e9)
        bounds.number("sigma", self.sigma, 0, 100)
        bounds.whole("min_size", self.min_size, 1, 10**8)

    def labels(self, rgb: Float[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
        """Cut the whole image."""
        return segmentation.felzenszwalb(
            rgb, scale=self.scale, sigma=self.sigma, min_size=self.min_size
        )


@dataclass(frozen=True)
class LabelMap:
    """Superpixels from a file: every connected piece of every label, 0 too, is one.

    Parameters
    ----------
    path
        An image or a NumPy file of labels.
    """

    path: str = ""
    label: ClassVar[str] = "Label map file"
    counted: ClassVar[bool] = False

    def labels(self, rgb: Float[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
        """Read the labels at the size of the image."""
        from limecraft_jax.files.masks import load_mask

        if not self.path:
            raise InputError("a label map needs a file, got none: choose one.")
        return load_mask(self.path, rgb.shape[:2]).labels


Counted = KMeans | Slic | Watershed | Grid
Uncounted = Quickshift | Felzenszwalb | LabelMap
Segmenter = Counted | Uncounted

SEGMENTERS: dict[str, type[Segmenter]] = {
    "kmeans": KMeans,
    "slic": Slic,
    "watershed": Watershed,
    "grid": Grid,
    "quickshift": Quickshift,
    "felzenszwalb": Felzenszwalb,
    "labels": LabelMap,
}
