"""Export small models with PyTorch and scikit-learn, and store what they answer: run by hand.

pip install torch onnx onnxscript skl2onnx scikit-learn
python -m tests.golden.exports
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx

FOLDER = Path(__file__).parent / "exports"


def plain(path: Path) -> None:
    """Drop the exporter's notes about the lines of source code that an operator comes from."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, path)


def with_torch() -> None:
    """A small network, by both exporters that PyTorch has."""
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    ).eval()
    for part in net.parameters():
        torch.nn.init.normal_(part)
    example = torch.zeros(1, 3, 32, 24)
    torch.onnx.export(net, example, FOLDER / "torch_script.onnx", dynamo=False)
    free = ({0: torch.export.Dim("n")},)
    file = FOLDER / "torch_export.onnx"
    torch.onnx.export(net, (example,), file, dynamo=True, dynamic_shapes=free, external_data=False)
    plain(file)
    images = np.random.default_rng(0).random((3, 32, 24, 3), np.float32)
    with torch.no_grad():
        scores = net(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    np.savez(FOLDER / "torch.npz", images=images, probs=torch.softmax(scores, 1).numpy())


def with_sklearn() -> None:
    """A pipeline on the pixels of digits, with and without the map that skl2onnx adds."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(pixels, digits.target)
    for name, options in (("sklearn", {"zipmap": False}), ("sklearn_map", None)):
        made = to_onnx(pipeline, pixels[:1], options=options)
        (FOLDER / f"{name}.onnx").write_bytes(made.SerializeToString())
    images = pixels[:3].reshape(3, 8, 8, 1)
    np.savez(FOLDER / "sklearn.npz", images=images, probs=pipeline.predict_proba(pixels[:3]))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with_torch()
        with_sklearn()
