"""Inception V3: blocks of parallel branches whose maps are laid side by side.

Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture for Computer
Vision", CVPR 2016, table 1 and figures 5 to 7. The network of the LIME and LIMEcraft papers. The
auxiliary classifier serves training alone and is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from limecraft_jax.models.networks.convert import Layout
from limecraft_jax.models.networks.layers import Conv, Dense, Network, max_pool, mean_pool

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Step = tuple[int, int | tuple[int, int]]  # output channels, size of the window
ROW, COLUMN = (1, 7), (7, 1)
WIDE, TALL = (1, 3), (3, 1)


class Chain(nnx.Module):
    """Convolutions one after the other; the last may have a stride and then has no padding."""

    def __init__(self, inputs: int, steps: tuple[Step, ...], family: str, stride: int = 1):
        convs = []
        for n, (outputs, size) in enumerate(steps, 1):
            last = stride > 1 and n == len(steps)
            options: Any = {"stride": stride, "family": "valid"} if last else {"family": family}
            convs.append(Conv(inputs, outputs, size, activation=jax.nn.relu, **options))
            inputs = outputs
        self.convs = nnx.List(convs)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Pass a batch through."""
        for conv in self.convs:
            x = conv(x)
        return x


class Mixed(nnx.Module):
    """Branches beside each other, and one more that convolves the mean of its surroundings."""

    def __init__(self, inputs: int, branches, pooled: int, family: str):
        self.family = family
        self.branches = nnx.List([Chain(inputs, steps, family) for steps in branches])
        self.pooled = Chain(inputs, ((pooled, 1),), family)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w d"]:
        """Pass a batch through."""
        pooled = self.pooled(mean_pool(x, 3, self.family))
        return jnp.concatenate([*(branch(x) for branch in self.branches), pooled], axis=-1)


class Reduction(nnx.Module):
    """Branches that halve the picture, and the maximum beside them."""

    def __init__(self, inputs: int, branches, family: str):
        self.branches = nnx.List([Chain(inputs, steps, family, 2) for steps in branches])

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n p q d"]:
        """Pass a batch through."""
        return jnp.concatenate([*(branch(x) for branch in self.branches), max_pool(x, 3, 2)], -1)


class Fork(nnx.Module):
    """A chain that ends in a wide and a tall window beside each other."""

    def __init__(self, inputs: int, steps: tuple[Step, ...], family: str):
        self.chain = Chain(inputs, steps, family)
        self.wide = Chain(steps[-1][0], ((384, WIDE),), family)
        self.tall = Chain(steps[-1][0], ((384, TALL),), family)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w 768"]:
        """Pass a batch through."""
        x = self.chain(x)
        return jnp.concatenate([self.wide(x), self.tall(x)], axis=-1)


class Expanded(nnx.Module):
    """The last kind of block: two of its branches fork."""

    def __init__(self, inputs: int, family: str):
        self.family = family
        self.single = Chain(inputs, ((320, 1),), family)
        self.fork = Fork(inputs, ((384, 1),), family)
        self.double = Fork(inputs, ((448, 1), (384, 3)), family)
        self.pooled = Chain(inputs, ((192, 1),), family)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w 2048"]:
        """Pass a batch through."""
        pooled = self.pooled(mean_pool(x, 3, self.family))
        return jnp.concatenate([self.single(x), self.fork(x), self.double(x), pooled], axis=-1)


class InceptionV3(Network):
    """Five convolutions -> 11 blocks of branches -> mean -> dense.

    Parameters
    ----------
    classes
        Number of classes k.
    family
        ``"torch"`` or ``"keras"``; they differ in whether a mean counts the rim.
    """

    def __init__(self, classes: int, family: str):
        relu: Any = {"activation": jax.nn.relu}
        self.stem = nnx.List(
            [
                Conv(3, 32, 3, 2, family="valid", **relu),
                Conv(32, 32, 3, family="valid", **relu),
                Conv(32, 64, 3, family=family, **relu),
                Conv(64, 80, 1, **relu),
                Conv(80, 192, 3, family="valid", **relu),
            ]
        )
        blocks: list[nnx.Module] = []
        for inputs, pooled in ((192, 32), (256, 64), (288, 64)):
            branches = ((64, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))
            blocks.append(Mixed(inputs, branches, pooled, family))
        blocks.append(
            Reduction(288, (((384, 3),), ((64, 1), (96, 3), (96, 3))), family),
        )
        for c in (128, 160, 160, 192):
            factored = (c, 1), (c, ROW), (192, COLUMN)
            twice = (c, 1), (c, COLUMN), (c, ROW), (c, COLUMN), (192, ROW)
            blocks.append(Mixed(768, (((192, 1),), factored, twice), 192, family))
        last = ((192, 1), (320, 3)), ((192, 1), (192, ROW), (192, COLUMN), (192, 3))
        blocks.append(Reduction(768, last, family))
        blocks += [Expanded(inputs, family) for inputs in (1280, 2048)]
        self.blocks = nnx.List(blocks)
        self.dense = Dense(2048, classes)

    def features(self, images: Float[Array, "n h w 3"]) -> Float[Array, "n p q 2048"]:
        """The last maps that still know where something is."""
        x = images
        for n, conv in enumerate(self.stem):
            x = conv(x)
            if n in (2, 4):
                x = max_pool(x, 3, 2)
        for block in self.blocks:
            x = block(x)
        return x


STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
SMALL = "branch1x1", "branch5x5_", "branch3x3dbl_", "branch_pool"
LARGE = "branch1x1", "branch7x7_", "branch7x7dbl_", "branch_pool"
BLOCKS = {  # their name of a block, and of its branches in our order
    "Mixed_5b": SMALL,
    "Mixed_5c": SMALL,
    "Mixed_5d": SMALL,
    "Mixed_6a": ("branch3x3", "branch3x3dbl_"),
    "Mixed_6b": LARGE,
    "Mixed_6c": LARGE,
    "Mixed_6d": LARGE,
    "Mixed_6e": LARGE,
    "Mixed_7a": ("branch3x3_", "branch7x7x3_"),
}
FORKED = {  # the branches of Mixed_7b and Mixed_7c
    "single.convs.0": "branch1x1",
    "fork.chain.convs.0": "branch3x3_1",
    "fork.wide.convs.0": "branch3x3_2a",
    "fork.tall.convs.0": "branch3x3_2b",
    "double.chain.convs.0": "branch3x3dbl_1",
    "double.chain.convs.1": "branch3x3dbl_2",
    "double.wide.convs.0": "branch3x3dbl_3a",
    "double.tall.convs.0": "branch3x3dbl_3b",
    "pooled.convs.0": "branch_pool",
}


def _paths() -> dict[str, str]:
    """Our convolutions in the order in which the papers' code makes them, with torch's names."""
    lengths = {"branch5x5_": 2, "branch7x7_": 3, "branch7x7dbl_": 5, "branch3x3_": 2}
    lengths |= {"branch3x3dbl_": 3, "branch7x7x3_": 4}
    found = {f"stem.{n}": name for n, name in enumerate(STEM)}
    for b, (block, branches) in enumerate(BLOCKS.items()):
        for i, branch in enumerate(branches):
            ours = "pooled" if branch == "branch_pool" else f"branches.{i}"
            for n in range(lengths.get(branch, 1)):
                number = str(n + 1) if branch.endswith("_") else ""
                found[f"blocks.{b}.{ours}.convs.{n}"] = f"{block}.{branch}{number}"
    for b, block in enumerate(("Mixed_7b", "Mixed_7c"), len(BLOCKS)):
        found |= {f"blocks.{b}.{ours}": f"{block}.{name}" for ours, name in FORKED.items()}
    return found


def _torch() -> dict[str, tuple[str, str]]:
    names = {ours: (f"{there}.conv", f"{there}.bn") for ours, there in _paths().items()}
    return names | {"dense": ("fc", "")}


def _keras() -> dict[str, tuple[str, str]]:
    names = {ours: (f"conv2d#{n}", f"batch_normalization#{n}") for n, ours in enumerate(_paths())}
    return names | {"dense": ("predictions", "")}


NETWORK = InceptionV3
LAYOUTS = (
    Layout("timm and torchvision", "torch", 1e-3, _torch(), ignored=("AuxLogits.",)),
    Layout("Keras", "keras", 1e-3, _keras()),
)
