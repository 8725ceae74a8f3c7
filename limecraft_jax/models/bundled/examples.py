"""Pictures to begin with: what the bundled models get right, and how they are fooled.

The lesions are synthetic and drawn from seeds that no training uses. Each is the first seed for
which the network behaves as its story says, so the stories stay true when the weights change.
The textures are put together from columns of photographs that no training has seen.
Photographs are not copied: the index names those that scikit-image brings along.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage.data
from PIL import Image

from limecraft_jax import models
from limecraft_jax.models.bundled import composites, digits, photographs
from limecraft_jax.models.bundled.dermoscopy import CLASSES, Picture, draw, ruler_region
from limecraft_jax.models.classifier import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Entry = dict[str, Any]

FIRST_SEED = 40_000_000
PHOTOGRAPHS = {
    "chelsea": ("Chelsea the cat", "A photograph with one clear subject on a soft background."),
    "astronaut": ("An astronaut", "A portrait with a flag and a shuttle in the background."),
    "coffee": ("A cup of coffee", "Several things on a table: which of them is the evidence?"),
    "rocket": ("A rocket", "A launch pad at dawn: the rocket covers little of the picture."),
    "stereo_motorcycle": ("A motorcycle", "A workshop full of things, one of them in front."),
}
# Title, story, the texture of the undrawn rest, and those drawn as regions.
SCENES = {
    "terrace": (
        "Bricks in the grass",
        "Explain brick with the bricks drawn as one region, then with nothing drawn. A patch "
        "within one brick looks much like its flat stand-in; the region as a whole does not.",
        "grass",
        "brick",
    ),
    "path": (
        "A gravel path through grass",
        "Grass covers most, so grass it is. Now explain gravel: the path should speak for it and "
        "the grass against.",
        "grass",
        "gravel",
    ),
    "corner": (
        "Where bricks meet gravel",
        "About half and half, and the answer says so. What speaks for brick should speak against "
        "gravel, on either side of the line.",
        "gravel",
        "brick",
    ),
    "tuft": (
        "A tuft of grass in gravel",
        "Hard to see at a glance. Explain grass with nothing drawn: does the explanation find it?",
        "gravel",
        "grass",
    ),
    "three": (
        "Grass, gravel and bricks",
        "Bricks and gravel are drawn, the rest is grass. Explain the three answers in turn: each "
        "should be carried by its own ground.",
        "grass",
        "brick",
        "gravel",
    ),
    **{
        name: (
            f"Nothing but {'bricks' if name == 'brick' else name}",
            "Every part says the same thing, so hiding some of them changes little: a sure answer "
            "can have a weak explanation.",
            name,
        )
        for name in composites.CLASSES
    },
}


def write_examples(out: Path) -> list[Entry]:
    """Write all example pictures, their masks and ``index.json`` below a folder.

    Returns
    -------
    list of dict
        What the index holds: ``title``, ``story`` and either ``skimage`` (a function of
        ``skimage.data``) or ``file`` and ``truth``; ``model``, but for photographs shown to any;
        and, where there is one, ``mask`` (a gray picture in which black is outside and each other
        value is a region) with the names of its ``regions``. In a mask of textures the regions are
        whole textures, and ``rest`` is the texture outside, so that it tells the truth about every
        pixel.
    """
    entries = [*photograph_examples(out), *lesion_examples(out), *digit_examples(out)]
    entries += texture_examples(out)
    entries += [
        {"skimage": name, "title": title, "story": story}
        for name, (title, story) in PHOTOGRAPHS.items()
    ]
    (out / "index.json").write_text(json.dumps(entries, indent=1) + "\n")
    return entries


def photograph_examples(out: Path) -> Iterator[Entry]:
    """Photographs that scikit-image brings along, as EfficientNet-Lite0 is asked about them."""
    for name, (title, story) in photographs.STORIES.items():
        entry: Entry = {
            "skimage": name,
            "model": "efficientnet_lite0",
            "title": title,
            "story": story,
        }
        if name in photographs.OUTLINES:
            picture = getattr(skimage.data, name)()
            save(
                out / "photographs" / f"{name}_mask.png", photographs.mask(name, picture.shape[:2])
            )
            entry |= {"mask": f"photographs/{name}_mask.png"}
            entry["regions"] = list(photographs.OUTLINES[name])
        yield entry


def lesion_examples(out: Path) -> Iterator[Entry]:
    """Pairs with and without ruler for two classes, then one of each other class."""
    ask = asker(models.load("lesions"))
    clean = asker(models.load("lesions-clean"))
    nevus, melanoma = CLASSES.index("melanocytic nevi"), CLASSES.index("melanoma")

    def right(seed: int, label: int, hairs: bool = False) -> float:
        """A picture without ruler that both networks get right."""
        image = draw(seed, label, False, hairs).image
        return min(ask(image)[label], clean(image)[label])

    def betrayed(seed: int) -> float:
        """A melanoma that only the ruler gives away, and that the twin finds by itself."""
        with_it, without = (draw(seed, melanoma, ruler, False).image for ruler in (True, False))
        found = min(ask(with_it)[melanoma], 1 - ask(without)[melanoma])
        return min(found, clean(with_it)[melanoma], clean(without)[melanoma])

    def fooled(seed: int) -> float:
        """A nevus that a ruler turns into a melanoma, but not for the twin."""
        with_it, without = (draw(seed, nevus, ruler, False).image for ruler in (True, False))
        found = min(ask(with_it)[melanoma], ask(without)[nevus])
        return min(found, clean(with_it)[nevus], clean(without)[nevus])

    def write(
        stem: str, title: str, story: str, picture: Picture, *regions: str, model: str = "lesions"
    ) -> Entry:
        save(out / "lesions" / f"{stem}.png", picture.image)
        entry: Entry = {
            "file": f"lesions/{stem}.png",
            "model": model,
            "title": title,
            "story": story,
            "truth": CLASSES[picture.label],
        }
        if regions:
            mask = np.zeros(picture.ruler.shape)
            for number, region in enumerate(regions, 1):
                drawn = ruler_region(picture) if region == "ruler" else getattr(picture, region)
                mask[drawn] = number / len(regions)
            save(out / "lesions" / f"{stem}_mask.png", mask)
            entry |= {"mask": f"lesions/{stem}_mask.png", "regions": list(regions)}
        return entry

    seed = first(betrayed)
    yield write(
        "melanoma_ruler",
        "Melanoma beside a ruler",
        "The model is sure, and right. Is it the lesion that convinces it, or the ruler at the "
        "edge? Draw around the ruler to find out.",
        draw(seed, melanoma, True, False),
        "ruler",
    )
    yield write(
        "melanoma",
        "The same melanoma, no ruler",
        "Every pixel but the ruler's is the same as before, and the model no longer sees a "
        "melanoma.",
        draw(seed, melanoma, False, False),
        "lesion",
    )
    yield write(
        "melanoma_ruler_clean",
        "The same melanoma, asked of the clean twin",
        "This network learned from pictures in which rulers mean nothing. It finds the melanoma "
        "too, and here the ruler should carry no weight.",
        draw(seed, melanoma, True, False),
        "lesion",
        "ruler",
        model="lesions-clean",
    )
    seed = first(fooled)
    yield write(
        "nevus_ruler",
        "Harmless mole beside a ruler",
        "A mole that the model takes for a melanoma. The explanation shows what fooled it.",
        draw(seed, nevus, True, False),
        "lesion",
        "ruler",
    )
    yield write(
        "nevus",
        "The same mole, no ruler",
        "Without the ruler the model is right. The two pictures differ in nothing else.",
        draw(seed, nevus, False, False),
    )
    seed = first(functools.partial(right, label=nevus, hairs=True))
    yield write(
        "nevus_hairs",
        "Mole under hairs",
        "Hairs cross the mole. A model that looks at the skin should not mind them.",
        draw(seed, nevus, False, True),
        "hairs",
    )
    for stem, name, story in (
        ("vascular", "vascular lesions", "Crowded red lagoons. Color alone may be enough here."),
        ("keratosis", "benign keratosis-like", "A waxy plaque with furrows and pale cysts."),
        ("carcinoma", "basal cell carcinoma", "Branching vessels over blue-gray nests."),
        ("actinic", "actinic keratoses", "A red patch with white scales and no clear edge."),
        ("dermatofibroma", "dermatofibroma", "A pale scar within a brown ring: which part counts?"),
    ):
        label = CLASSES.index(name)
        seed = first(functools.partial(right, label=label))
        title = name.capitalize()
        masks = ("lesion",) if stem == "vascular" else ()
        yield write(stem, title, story, draw(seed, label, False, False), *masks)


def digit_examples(out: Path) -> Iterator[Entry]:
    """Held-out digits: five read with certainty, then the surest mistakes."""
    _, _, images, labels = digits.split()
    classifier = models.load("digits")
    probs = np.asarray(forward(classifier, images))
    guess, sure = probs.argmax(1), probs.max(1)
    right = [int(np.argmax((guess == d) & (labels == d) & (sure > 0.95))) for d in (0, 2, 4, 7, 8)]
    mistakes = [int(i) for i in np.argsort(-sure) if guess[i] != labels[i]]
    wrong = {(labels[i], guess[i]): i for i in reversed(mistakes)}  # the surest of each kind
    for i in (*right, *sorted(wrong.values(), key=mistakes.index)[:3]):
        truth, read = int(labels[i]), int(guess[i])
        article = "An" if truth == 8 else "A"
        stem = f"{truth}" if truth == read else f"{truth}_read_as_{read}"
        save(out / "digits" / f"{stem}.png", images[i, ..., 0])
        yield {
            "file": f"digits/{stem}.png",
            "model": "digits",
            "title": f"{article} {truth}" + ("" if truth == read else f" that is read as {read}"),
            "story": f"Read correctly. Which strokes make it {article.lower()} {truth}?"
            if truth == read
            else f"The model says {read}. Compare what speaks for {read} with what speaks for "
            f"{truth}.",
            "truth": str(truth),
        }


def texture_examples(out: Path) -> Iterator[Entry]:
    """Pictures of several textures with the truth as their masks, then each texture alone."""
    ask = asker(models.load("textures"))

    def agrees(seed: int, name: str, truth: int) -> float:
        """How well the answer follows the areas, of a picture whose largest part is the truth."""
        picture = composites.scene(seed, name)
        probs = ask(picture.image)
        right = probs.argmax() == picture.areas.argmax() == truth
        return float(right and 1 - abs(probs - picture.areas[:3]).sum() / 2)

    for name, (title, story, *textures) in SCENES.items():
        rest, *drawn = (composites.CLASSES.index(texture) for texture in textures)
        truth = composites.CLASSES.index("brick") if name == "corner" else rest
        seed = first(functools.partial(agrees, name=name, truth=truth), 0.95, 30)
        picture = composites.scene(seed, name)
        save(out / "textures" / f"{name}.png", picture.image[..., 0])
        entry: Entry = {
            "file": f"textures/{name}.png",
            "model": "textures",
            "title": title,
            "story": story,
            "truth": composites.CLASSES[truth],
        }
        if drawn:
            regions = sum(n * (picture.texture == k) for n, k in enumerate(drawn, 1))
            save(out / "textures" / f"{name}_mask.png", regions / len(drawn))
            entry |= {"mask": f"textures/{name}_mask.png", "regions": textures[1:]}
            entry["rest"] = textures[0]
        yield entry


def asker(classifier: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Probabilities of one picture, from a Flax network."""

    def ask(image: np.ndarray) -> np.ndarray:
        return np.asarray(forward(classifier, image[None]))[0]

    return ask


def first(fits: Callable[[int], float], wanted: float = 0.8, tries: int = 300) -> int:
    """The first example seed whose story holds with the wanted certainty, else the best one.

    `fits` gives the least of the probabilities that the story rests on; a story needs .5.
    """
    best, surest = FIRST_SEED, 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + tries):
        sure = fits(seed)
        if sure >= wanted:
            return seed
        if sure > surest:
            best, surest = seed, sure
    if surest <= 0.5:
        raise RuntimeError(
            f"some picture out of {tries} must fit its story, got none: train again."
        )
    return best


def save(path: Path, image: np.ndarray) -> None:
    """Write values in [0, 1] as a PNG file of 8 bits per channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * image).astype(np.uint8)).save(path, optimize=True)
