"""How fast the networks are against onnxruntime, OpenVINO and PyTorch, side by side in one run.

Needs `tests/benchmarks/requirements.txt`. Weights are random but for EfficientNet-Lite0: speed does
not depend on them, errors do.
"""

from __future__ import annotations

import functools
import time
from statistics import median

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from limecraft_jax import models
from limecraft_jax.models import installed, networks, pace
from limecraft_jax.models.classifier import forward
from limecraft_jax.models.formats import onnxfile, openvinorun
from limecraft_jax.models.networks import convert
from limecraft_jax.path import lime
from tests.benchmarks.test_speed import report, seconds
from tests.golden import photographs
from tests.golden.weights import array
from tests.models.test_networks import recalled

TIMM = {
    "inception_v3": "inception_v3",
    "resnet50": "resnet50",
    "mobilenet_v1": "mobilenetv1_100",
    "mobilenet_v2": "mobilenetv2_100",
}
LITE = "efficientnet_lite0"
BATCHES = (1, 2, 4, 8, 16, 32)


def weights_of(name: str) -> dict[str, np.ndarray]:
    """Random weights for 1000 classes, under timm's names."""
    shapes = recalled(f"timm-{name}")[0]["shapes"]
    dense = next(end for end in ("fc", "classifier") if f"{end}.weight" in shapes)
    for end in ("weight", "bias"):
        shapes[f"{dense}.{end}"][0] = 1000
    return {key: array(key, tuple(shape)) for key, shape in shapes.items()}


def classifier_of(name: str):
    """Our network with those weights, or with its own."""
    if name == LITE:
        return models.load(name)
    build, layouts = networks.architecture(name)
    arrays, _ = convert.convert(weights_of(name), layouts, name, models.card(name).family)
    return networks.fill(build, arrays, models.card(name))


def best(ask, batches, shape, budget=1.0) -> int:
    """The batch with the most pictures per second; stops where memory ends."""
    rates = {}
    for batch in batches:
        images = np.zeros((batch, *shape), np.float32)
        try:
            ask(images)
        except jax.errors.JaxRuntimeError:
            break
        rounds = max(2, round(budget / max(seconds(lambda x=images: ask(x)), 1e-4)))
        start = time.perf_counter()
        for _ in range(rounds):
            ask(images)
        rates[batch] = rounds * batch / (time.perf_counter() - start)
    return max(rates, key=rates.__getitem__)


def rate(ask, batch, shape, pictures) -> float:
    """Pictures per second."""
    images = np.random.default_rng(0).random((batch, *shape), np.float32)
    rounds = -(-pictures // batch)
    return rounds * batch / seconds(lambda: [ask(images) for _ in range(rounds)])


def in_torch(name: str):
    """The same network in PyTorch."""
    import torch

    from tests.golden.make import package, torchvision

    if name == LITE:
        model = package("efficientnet-lite0")
        model.load_state_dict(torch.load(installed.available(models.card(name))))
        return model.eval()
    torchvision()
    import timm

    model = timm.create_model(TIMM[name]).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights_of(name).items()})
    return model


def peers(name: str, folder, side: int) -> dict:
    """The same network in PyTorch, and in onnxruntime as PyTorch exports it."""
    import onnxruntime
    import torch

    model = in_torch(name)
    example, path = torch.zeros(1, 3, side, side), str(folder / f"{name}.onnx")
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(
        model, example, path, input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def with_torch(images):
        with torch.inference_mode():
            return model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()

    def with_onnx(images):
        return session.run(None, {"x": images.transpose(0, 3, 1, 2).copy()})[0]

    return {"onnxruntime": with_onnx, "PyTorch": with_torch}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch about its own exporter
@pytest.mark.parametrize("name", [LITE, *TIMM])
def test_pictures_per_second_on_a_processor(name, tmp_path, capsys):
    """Every side at its best batch, taking turns."""
    classifier = jax.device_put(classifier_of(name))
    card = classifier.card
    shape = (card.height, card.width, 3)
    sides = {"ours": lambda images: np.asarray(forward(classifier, images))}
    sides["ours by onnxruntime"] = onnxfile.run(classifier)
    sides["ours by OpenVINO"] = openvinorun.run(classifier)
    sides |= peers(name, tmp_path, card.height)
    chosen = {side: best(ask, BATCHES, shape) for side, ask in sides.items()}
    pictures = 32 if name in ("inception_v3", "resnet50") else 128
    rounds = [
        {side: rate(ask, chosen[side], shape, pictures) for side, ask in sides.items()}
        for _ in range(5)
    ]
    middle = {side: median(r[side] for r in rounds) for side in sides}
    ways = [side for side in sides if side.startswith("ours")]
    ratios = [
        median(r[side] / max(r["onnxruntime"], r["PyTorch"]) for r in rounds) for side in ways
    ]
    report(
        capsys,
        f"{card.title}, 1000 classes, {card.height} pixels, pictures per second",
        "at least 0.8 times the better of onnxruntime and PyTorch on a processor",
        ", ".join(f"{side} {middle[side]:.1f} (batch {chosen[side]})" for side in sides),
        "over the better of the two: "
        + ", ".join(f"{side} {ratio:.2f}" for side, ratio in zip(ways, ratios, strict=True)),
    )


def test_what_openvino_loses(capsys):
    """Explanations of photographs by OpenVINO and by onnxruntime, the same samples."""
    classifier = models.load(LITE)
    exact, quick = onnxfile.run(classifier), openvinorun.run(classifier)
    rows = []
    for name in ("coffee", "camera", "chelsea", "astronaut", "china"):
        image = classifier.prepare(photographs.photograph(name))
        one, other = (lime.explain(image, m, None, lime.Settings()) for m in (exact, quick))
        k = int(one.neighborhood.probs[0].argmax())
        low, high = one.fit.interval()
        off = np.abs(other.neighborhood.probs - one.neighborhood.probs)
        rows.append(
            f"{name}: probabilities {off.max():.3f} at most, {off[:, k].mean():.3f} in the mean of "
            f"the class; coefficients {np.abs(other.fit.coef - one.fit.coef)[k].max():.4f} at most "
            f"(half an interval is {(high - low)[k].mean() / 2:.4f}), correlation "
            f"{np.corrcoef(one.fit.coef[k], other.fit.coef[k])[0, 1]:.4f}"
        )
    report(
        capsys,
        f"EfficientNet-Lite0 by OpenVINO in {quick.card.precision}, against onnxruntime",
        "coefficients within half an interval of sampling",
        *rows,
    )


@pytest.mark.parametrize("way", ["", "onnxruntime"])
def test_an_explanation_against_the_forward_passes_alone(way, capsys):
    """1000 samples of MobileNet V2 over as many ready pictures."""
    classifier = classifier_of("mobilenet_v2").with_batch(4)
    model = models.adapt(jax.device_put(classifier), way)
    image = np.random.default_rng(0).random((224, 224, 3), np.float32)
    segmentation = lime.cut(image, None, lime.Settings())
    batch = np.broadcast_to(image, (4, *image.shape)).copy()
    ask = model if way else functools.partial(forward, model, jax.device_put(batch))

    def pure():
        for _ in range(250):
            answer = ask(batch) if way else ask()
        np.asarray(answer)

    def whole():
        *_, done = lime.query(model, lime.begin(image, segmentation, lime.Settings()))
        lime.resolve(done)

    whole(), pure()
    pairs = [(seconds(whole), seconds(pure)) for _ in range(5)]
    our, network = (median(side) for side in zip(*pairs, strict=True))
    report(
        capsys,
        f"1000 samples of MobileNet V2{way and ', run by ' + way}, {segmentation.num} superpixels",
        "at most 1.05 times the pure forward passes",
        f"explanation {our:.2f} s, forward alone {network:.2f} s: "
        f"ratio {median(a / b for a, b in pairs):.3f}",
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["resnet50", "inception_v3"])
def test_share_of_the_matrix_product_rate(name, precision, capsys):
    """Multiplications and additions of the network per second over those of a matrix product."""
    classifier = jax.device_put(classifier_of(name).cast(precision))
    card = classifier.card
    cpu = jax.default_backend() == "cpu"
    shape = (card.height, card.width, 3)

    def ask(images):
        return forward(classifier, images).block_until_ready()

    batch = best(ask, (4, 8) if cpu else pace.LARGE, shape)
    images = jax.device_put(np.zeros((batch, *shape), np.float32))
    cost = forward.lower(classifier, images).compile().cost_analysis()
    size = 1024 if cpu else 8192
    matrix = jnp.ones((size, size), precision)
    product = jax.jit(lambda a: a @ a)

    def multiply():
        product(matrix).block_until_ready()

    multiply()
    rounds = [
        (
            10 * cost["flops"] / seconds(lambda: [ask(images) for _ in range(10)]),
            10 * 2 * size**3 / seconds(lambda: [multiply() for _ in range(10)]),
        )
        for _ in range(5)
    ]
    report(
        capsys,
        f"{card.title} in {precision}, batch {batch}",
        "at least half of the matrix product's rate on a GPU in bfloat16",
        f"{median(n for n, _ in rounds) / 1e9:.0f} of {median(m for _, m in rounds) / 1e9:.0f} "
        f"billion operations per second: {median(n / m for n, m in rounds):.2f}",
    )
