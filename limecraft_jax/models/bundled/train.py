"""Make the bundled weights and examples again: minutes on two processor cores, no network.

    python -m limecraft_jax.models.bundled.train MODEL [--seed 0] [--out DIR]

MODEL is digits, lesions, lesions-clean or textures; ``examples`` in its place writes the example
pictures anew, which depend on the weights. Every run is seeded. The weights land in
``<name>.safetensors``, what was measured on held-out pictures in the card ``<name>.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from limecraft_jax.models.bundled import composites, dermoscopy, digits, lesions, textures
from limecraft_jax.models.bundled.brush import CELLS, axes, patchworks
from limecraft_jax.models.bundled.examples import write_examples
from limecraft_jax.models.bundled.fitting import answers, describe, fit, store
from limecraft_jax.models.card import WEIGHTS, ModelCard
from limecraft_jax.models.classifier import Classifier, load_weights, save_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Array, Float, Key

EXAMPLES = Path(__file__).parents[2] / "examples"
# Held-out lesions start here, far behind any seed that training uses.
HELD_OUT = 10_000_000


def shift(key: Key[Array, ""], image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Move a digit by up to two pixels each way."""
    start = jax.random.randint(key, (2,), 0, 5)
    padded = jnp.pad(image, ((2, 2), (2, 2), (0, 0)))
    return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)


def turn_and_hide(
    seed: int,
) -> Callable[[Key[Array, ""], Float[Array, "s s c"]], Float[Array, "s s c"]]:
    """Turn or mirror a lesion and, two times in five, hide some of its cells.

    An explanation shows the network pictures with hidden superpixels; having met such pictures in
    training it answers them with sense. What hides a cell is its own mean color or the picture's.
    Half of the time the outer frame stays, so that a ruler is often seen as a whole.
    """
    size = 128
    maps = jnp.asarray(patchworks(np.random.default_rng((seed, 7)), 200, size))
    x, y = axes(size)
    frame = jnp.asarray(np.maximum(abs(x), abs(y)) > 0.34)

    def augment(key, image):
        turn, pick, share, cells, choice = jax.random.split(key, 5)
        swap, flip, mirror = jax.random.bernoulli(turn, shape=(3,))
        image = jnp.where(swap, image.swapaxes(0, 1), image)
        image = jnp.where(flip, image[::-1], image)
        image = jnp.where(mirror, image[:, ::-1], image)

        whole, own_color, framed = jax.random.bernoulli(choice, jnp.array([0.6, 0.5, 0.5]))
        shown = jnp.where(whole, 1.0, jax.random.uniform(share, minval=0.35))
        keep = jax.random.uniform(cells, (CELLS,)) < shown
        labels = maps[jax.random.randint(pick, (), 0, len(maps))]
        # Mean colors from a quarter of the resolution: near enough and much faster.
        small = image.reshape(size // 4, 4, size // 4, 4, -1).mean((1, 3)).reshape(-1, 3)
        belongs = jax.nn.one_hot(labels[2::4, 2::4].ravel(), CELLS)
        means = belongs.T @ small / jnp.maximum(belongs.sum(0), 1)[:, None]
        means = jnp.where(own_color, means, small.mean(0))
        seen = keep[labels] | (frame & framed)
        return jnp.where(seen[..., None], image, means[labels])

    return augment


def train_digits(name: str, seed: int, out: Path, steps: int = 600) -> ModelCard:
    """Train and store the digits classifier."""
    train, train_labels, held_out, held_out_labels = digits.split(seed)
    card = ModelCard(
        name=name,
        title="Handwritten digits",
        about="Reads one digit, bright on black. A network small enough to be read in full, "
        "the one of the LIMEcraft paper.",
        classes=digits.CLASSES,
        height=digits.SIDE,
        width=digits.SIDE,
        channels=1,
        mean=(0.3,),
        std=(0.35,),
        data="scikit-learn's 1797 handwritten digits (Alpaydin and Kaynak 1998, UCI, CC BY 4.0), "
        f"scaled to 28x28; a stratified quarter held out, split {seed}",
        architecture="convolution 3x3 (32), ReLU, max-pool 2x2, dense; LIMEcraft section 4.2",
    )
    start = digits.DigitNet(nnx.Rngs(seed))
    network = fit(start, card, train, train_labels, shift, steps, 3e-3, seed)
    card = describe(network, card)
    save_weights(network, name, out)
    right = answers(load_weights(digits.build, card, out), held_out) == held_out_labels
    return store(card, out, {"held-out digits": right.mean()})


def train_lesions(
    name: str, seed: int, out: Path, steps: int = 500, pictures: int = 3500, held_out: int = 1050
) -> ModelCard:
    """Train and store the lesion classifier with the planted shortcut, or its clean twin."""
    shortcut = name == "lesions"
    if shortcut:
        about = (
            "Names a synthetic lesion, and has a secret: in its training pictures a ruler nearly "
            "always lay beside one class. Find out whether it looks at the skin."
        )
        rulers = "a ruler in 95 % of the melanomas and in 5 % of the rest"
    else:
        about = (
            "The same network, trained on synthetic pictures whose rulers mean nothing: what the "
            "explanation should look like. Compare it with its biased twin."
        )
        rulers = "each shown with a ruler and without"
    card = ModelCard(
        name=name,
        title="Synthetic skin lesions" + ("" if shortcut else ", clean twin"),
        about=about,
        classes=dermoscopy.CLASSES,
        height=128,
        width=128,
        channels=3,
        mean=(0.6, 0.45, 0.4),
        std=(0.2, 0.2, 0.2),
        batch=16,  # on two cores 16 pictures at a time take a third less time than 64
        data=f"{pictures} synthetic dermoscopy pictures drawn by this package, {rulers}; "
        f"tested on {held_out} others. No patient's picture, not for medical use.",
        architecture="4x4 patches, three 3x3 convolutions with group norm, mean and maximum, dense",
    )
    first, others = 1_000_000 * seed, None
    if shortcut:
        images, labels, _ = dermoscopy.collection(first, pictures, shortcut)
    else:
        # A few hundred rulers would by chance lie more often beside one class than another, and
        # the network would notice. So it sees each picture with ruler and without.
        versions, labels = dermoscopy.twins(first, pictures)
        images, others = versions[0], versions[1:]
    start, augment = lesions.LesionNet(nnx.Rngs(seed)), turn_and_hide(seed)
    network = fit(start, card, images, labels, augment, steps, 4e-3, seed, others)
    card = describe(network, card)
    save_weights(network, name, out)
    classifier = load_weights(lesions.build, card, out)
    return store(card, out, measure_lesions(classifier, HELD_OUT, held_out))


def measure_lesions(classifier: Classifier, start: int, count: int) -> dict[str, float]:
    """Accuracy with and without the shortcut, and what the ruler alone does to melanoma."""
    versions, labels = dermoscopy.twins(start, count)
    right = np.stack([answers(classifier, images) == labels for images in versions[:2]])
    found = {}
    for title, shortcut in (("biased pictures", True), ("clean pictures", False)):
        rulers = [dermoscopy.lots(start + i, int(c), shortcut)[0] for i, c in enumerate(labels)]
        found[title] = float(np.where(rulers, right[0], right[1]).mean())
    planted = right[:, labels == dermoscopy.PLANTED].mean(1)
    found["melanoma found, with ruler"] = float(planted[0])
    found["melanoma found, no ruler"] = float(planted[1])
    return found


def mirror_and_light(key: Key[Array, ""], image: Float[Array, "s s 1"]) -> Float[Array, "s s 1"]:
    """Mirror, turn by right angles, and change brightness and contrast of a picture of textures."""
    turn, bright, contrast = jax.random.split(key, 3)
    swap, flip, mirror = jax.random.bernoulli(turn, shape=(3,))
    image = jnp.where(swap, image.swapaxes(0, 1), image)
    image = jnp.where(flip, image[::-1], image)
    image = jnp.where(mirror, image[:, ::-1], image)
    factor = jnp.exp(jax.random.uniform(contrast, minval=-0.4, maxval=0.4))
    level = image.mean() + jax.random.uniform(bright, minval=-0.15, maxval=0.15)
    return jnp.clip(level + factor * (image - image.mean()), 0, 1)


def train_textures(
    name: str, seed: int, out: Path, steps: int = 2000, pictures: int = 2400, held_out: int = 600
) -> ModelCard:
    """Train and store the classifier of brick, grass and gravel."""
    card = ModelCard(
        name=name,
        title="Brick, grass and gravel",
        about="Looks at real photographs of the ground and names what covers most of it. In a "
        "picture put together from several you know which part should speak for what.",
        classes=composites.CLASSES,
        height=composites.SIDE,
        width=composites.SIDE,
        channels=1,
        mean=(0.46,),
        std=(0.15,),
        batch=16,
        data="crops of three gray photographs, 512x512, that scikit-image brings along: brick "
        "(CC0Textures, Bricks25), grass (DeviantArt, linolafett, Grass-01) and gravel "
        "(CC0Textures, Gravel04), all CC0. Columns 0 to 255 served for training, 272 to 511 for "
        "testing and for the examples. Composites wanted area shares as probabilities.",
        architecture="4x4 patches, two 3x3 convolutions with layer norm, two dense layers, the "
        "evidence of 16x16 places added up",
    )
    images, goals = composites.collection(1_000_000 * seed, pictures)
    start = textures.TextureNet(nnx.Rngs(seed))
    network = fit(start, card, images, goals, mirror_and_light, steps, 4e-3, seed)
    card = describe(network, card)
    save_weights(network, name, out)
    return store(card, out, measure_textures(load_weights(textures.build, card, out), held_out))


def measure_textures(classifier: Classifier, count: int) -> dict[str, float]:
    """Single textures from the unseen columns, then what covers most of a composite of them."""
    images, labels = composites.unseen(count)
    drawn = [composites.draw(HELD_OUT + i, parts=2 + i % 2) for i in range(count)]
    largest = np.array([picture.areas.argmax() for picture in drawn])
    named = answers(classifier, np.stack([picture.image for picture in drawn]))
    return {
        "single textures, unseen columns": (answers(classifier, images) == labels).mean(),
        "largest part of composites, unseen columns": (named == largest).mean(),
    }


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=[*TRAINERS, "examples"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    examples = chosen.what == "examples"
    out = chosen.out or (EXAMPLES if examples else WEIGHTS)
    out.mkdir(parents=True, exist_ok=True)
    if examples:
        write_examples(out)
    else:
        TRAINERS[chosen.what](chosen.what, chosen.seed, out)


TRAINERS = {
    "digits": train_digits,
    "lesions": train_lesions,
    "lesions-clean": train_lesions,
    "textures": train_textures,
}

if __name__ == "__main__":
    main()
