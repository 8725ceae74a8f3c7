"""A network of ours run by OpenVINO, which is quick on processors that compute in bfloat16.

The graph is the one that onnxruntime gets. bfloat16 has 8 significant bits: most probabilities are
good to .02, those of odd pictures to .1, see tests/benchmarks/results.md. On a processor without it
OpenVINO computes in float32, and onnxruntime is as quick.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.formats import onnxwrite, worker
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier

BEST = "BF16"  # what a processor tells among its abilities
INSTALL = "pip install onnx openvino"
REPORTER = "openvino_telemetry"


def run(model: Classifier) -> BlackBox:
    """A network run by OpenVINO; `ModelCard.precision` says in what it computes here.

    Raises
    ------
    InputError
        If onnx or openvino is missing, or the network is more than `onnxwrite` knows.
    """
    core = library().Core()
    half = BEST in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        "INFERENCE_NUM_THREADS": worker.cores(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    graph = core.compile_model(core.read_model(onnxwrite.write(model)), "CPU", settings)
    request, alone = graph.create_infer_request(), threading.Lock()

    def ask(images: np.ndarray) -> np.ndarray:
        with alone:  # a request is for one at a time
            return request.infer({0: np.asarray(images, np.float32)})[0]

    card = dataclasses.replace(model.card, precision="bfloat16" if half else "float32")
    return BlackBox(ask, card=card)


def library() -> Any:
    """OpenVINO without its reporter, which would tell its makers about every import."""
    before = sys.modules.get(REPORTER)
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import openvino
    except ImportError:
        raise InputError(
            f"running a network with OpenVINO needs the packages onnx and openvino: {INSTALL}"
        ) from None
    finally:
        del sys.modules[REPORTER]
        if before is not None:
            sys.modules[REPORTER] = before
    return openvino
