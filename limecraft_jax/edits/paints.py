"""Edits that leave a region where it is and paint it anew."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
from scipy import ndimage
from skimage.color import lab2rgb, lab2xyz, rgb2lab
from skimage.color.colorconv import rgb_from_xyz

from limecraft_jax.edits import warp
from limecraft_jax.edits.knobs import Checked, Knob
from limecraft_jax.pixels import prepare


class _Painting(Checked):
    """Edits that leave the mask as it is. Region 0, the rest of the picture, may be painted too."""

    def _edit(self, image, mask, regions):
        out = image.copy()
        for region in regions:
            own = mask == region
            alpha = warp.soft(own)[own][:, None]
            painted = np.clip(self._paint(image, own), 0, 1).astype(np.float32)
            out[own] = np.where(alpha == 1, painted, image[own] + alpha * (painted - image[own]))
        return out, mask

    def _paint(self, image: np.ndarray, own: np.ndarray) -> np.ndarray:
        """New colors [n c] of the n pixels of a region."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Offset(_Painting):
    """Add to the color channels: LIMEcraft's color edition (§3.3), its offsets divided by 255.

    Attributes
    ----------
    red, green, blue
        In [-1, 1]. The default, a shift toward red, is ours; the paper gives no numbers. A gray
        picture takes their mean.
    """

    red: float = 0.2
    green: float = 0.0
    blue: float = 0.0
    label: ClassVar[str] = "color offset"
    knobs: ClassVar[dict[str, Knob]] = {
        name: Knob(-1, 1, 0, "in [-1, 1]") for name in ("red", "green", "blue")
    }

    def _paint(self, image, own):
        offset = np.array([self.red, self.green, self.blue], np.float32)
        return image[own] + (offset if image.shape[2] == 3 else offset.mean())


@dataclasses.dataclass(frozen=True)
class Brightness(_Painting):
    """Add to all channels alike.

    Attributes
    ----------
    amount
        In [-1, 1]; the default is ours.
    """

    amount: float = 0.2
    label: ClassVar[str] = "brightness"
    knobs: ClassVar[dict[str, Knob]] = {"amount": Knob(-1, 1, 0, "in [-1, 1]")}

    def _paint(self, image, own):
        return image[own] + np.float32(self.amount)


@dataclasses.dataclass(frozen=True)
class Contrast(_Painting):
    """Stretch the colors of the region about their mean, channel by channel.

    Attributes
    ----------
    factor
        >= 0; 0 leaves the mean color, 1 changes nothing. The default is ours.
    """

    factor: float = 1.5
    label: ClassVar[str] = "contrast"
    knobs: ClassVar[dict[str, Knob]] = {"factor": Knob(0, 3, 1, ">= 0")}

    def _paint(self, image, own):
        mean = image[own].mean(axis=0, dtype=np.float64)
        return mean + self.factor * (image[own] - mean)


@dataclasses.dataclass(frozen=True)
class Recolor(_Painting):
    """Give the region another mean color and keep its texture: a shift in CIE Lab.

    Attributes
    ----------
    red, green, blue
        Wanted mean color, sRGB in [0, 1]; a gray picture takes its luminance. The default is tone 6
        of 10 of the Monk Skin Tone Scale (Monk 2019), for the paper's change of skin color.
    strength
        Share of the way to it, in [0, 1].
    """

    red: float = 0.63
    green: float = 0.49
    blue: float = 0.34
    strength: float = 1.0
    label: ClassVar[str] = "recolor"
    knobs: ClassVar[dict[str, Knob]] = {
        **{name: Knob(0, 1, None, "in [0, 1]") for name in ("red", "green", "blue")},
        "strength": Knob(0, 1, 0, "in [0, 1]"),
    }

    def _paint(self, image, own):
        channels = image.shape[2]
        goal = prepare(np.array([[[self.red, self.green, self.blue]]]), 1, 1, channels)
        goal, pixels = (
            rgb2lab(np.broadcast_to(colors, (*colors.shape[:-1], 3)).astype(np.float64))
            for colors in (goal[0], image[own])
        )
        pixels += self.strength * (goal - pixels.mean(axis=0))
        return lab2rgb(_possible(pixels))[:, :channels]


@dataclasses.dataclass(frozen=True)
class Hue(_Painting):
    """Turn the hue and keep the lightness: (a*, b*) turns about gray in CIE Lab.

    In CIE 1976 L*a*b* (Robertson 1977) lightness is L*, hue the angle of (a*, b*) and chroma its
    length. Where sRGB has no color of that chroma it gets the most that there is. Gray stays.

    Attributes
    ----------
    angle
        Degrees, from red by way of yellow and green to blue; the default is ours.
    """

    angle: float = 90.0
    label: ClassVar[str] = "hue"
    knobs: ClassVar[dict[str, Knob]] = {"angle": Knob(-180, 180, 0, unit="°")}

    @property
    def is_nothing(self) -> bool:
        """Whole turns change nothing."""
        return self.angle % 360 == 0

    def _paint(self, image, own):
        pixels = image[own]
        colored = (pixels != pixels[:, :1]).any(axis=1)
        if not colored.any():
            return pixels
        turn = math.radians(self.angle % 360)
        c, s = math.cos(turn), math.sin(turn)
        lab = rgb2lab(pixels[colored].astype(np.float64))
        lab[:, 1:] @= np.array([[c, s], [-s, c]])
        pixels[colored] = lab2rgb(_possible(_within(lab)))
        return pixels


@dataclasses.dataclass(frozen=True)
class Blur(_Painting):
    """Put the region out of focus, with its own pixels only: its outline and mean color stay.

    Attributes
    ----------
    sigma
        Standard deviation of the Gaussian in pixels, >= 0; the default is ours.
    """

    sigma: float = 3.0
    label: ClassVar[str] = "blur"
    knobs: ClassVar[dict[str, Knob]] = {"sigma": Knob(0, 20, 0, ">= 0", unit="px")}

    def _paint(self, image, own):
        box = ndimage.find_objects(own.astype(np.uint8))[0]
        inside = own[box]
        radius = [min(int(4 * self.sigma + 0.5), side - 1) for side in inside.shape]

        def smooth(values):
            smoothed = ndimage.gaussian_filter(values, self.sigma, mode="constant", radius=radius)
            return smoothed[inside]

        weight = smooth(inside.astype(np.float64))
        channels = np.moveaxis(image[box].astype(np.float64), -1, 0)
        return np.stack([smooth(values * inside) / weight for values in channels], axis=-1)


@dataclasses.dataclass(frozen=True)
class Noise(_Painting):
    """Add normal noise to every pixel and channel; a pixel's noise depends on place and seed only.

    Attributes
    ----------
    sigma
        Standard deviation, >= 0; the default is ours.
    seed
        Seed of the noise, a whole number >= 0.
    """

    sigma: float = 0.1
    seed: int = 0
    label: ClassVar[str] = "noise"
    knobs: ClassVar[dict[str, Knob]] = {
        "sigma": Knob(0, 0.5, 0, ">= 0"),
        "seed": Knob(0, 999, None, ">= 0", whole=True),
    }

    def _paint(self, image, own):
        noise = np.random.default_rng(self.seed).standard_normal(image.shape, np.float32)
        return image[own] + self.sigma * noise[own]


def _possible(lab: np.ndarray) -> np.ndarray:
    """Lab colors [n 3] with no less than no light: Z = 0 where b = 200 (L + 16) / 116."""
    light = np.clip(lab[:, 0], 0, 100)
    most = 200 * (light + 16) / 116 - 1e-9
    return np.stack([light, lab[:, 1], np.minimum(lab[:, 2], most)], axis=-1)


def _within(lab: np.ndarray) -> np.ndarray:
    """Lab colors [n 3], their chroma lowered to what sRGB has at this lightness and hue."""

    def outside(colors):
        light = lab2xyz(_possible(colors)) @ rgb_from_xyz.T
        return (np.abs(light - 0.5) > 0.5 + 1e-4).any(axis=1)

    out = lab.copy()
    beyond = outside(out)
    if beyond.any():
        most = np.zeros((beyond.sum(), 1))
        for part in 0.5 ** np.arange(1, 13):
            tried = lab[beyond] * np.insert(np.repeat(most + part, 2, axis=1), 0, 1, axis=1)
            most += part * ~outside(tried)[:, None]
        out[beyond, 1:] *= most
    return out
