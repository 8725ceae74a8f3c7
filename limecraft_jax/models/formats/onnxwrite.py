"""A Flax network as an ONNX graph: images [n h w c] in [0, 1] to probabilities [n k].

XLA's compiler for processors leaves speed on the table that onnxruntime picks up. The network is
traced into JAX's few primitives in their plain forms (`layers.plain`), and each becomes the ONNX
operator of the same meaning; what does not depend on the images is worked out on the way. Pictures
travel with their channels first, as onnxruntime likes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx

from limecraft_jax.models.networks import layers
from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from limecraft_jax.models.classifier import Classifier

OPSET = 18
INSTALL = "pip install onnx onnxruntime"
FIRST = (0, 3, 1, 2)  # where the axes n, h, w, c of pictures go
LAYERS = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))  # of `layers.LAYERS`, as JAX tells them


@dataclass(frozen=True)
class Value:
    """What depends on the images: its name in the graph and its shape in JAX."""

    name: str
    shape: tuple[int, ...]


@dataclass
class Graph:
    """An ONNX graph in the making; `proto` is written in place, for it holds all weights."""

    proto: Any
    names: Any = field(default_factory=itertools.count)

    def add(self, kind: str, inputs: Sequence[Value | np.ndarray], shape, **settings) -> Value:
        """One more operator, and what comes out of it."""
        from onnx import helper

        names = [x.name if isinstance(x, Value) else self.constant(x) for x in inputs]
        out = f"v{next(self.names)}"
        self.proto.node.append(helper.make_node(kind, names, [out], **settings))
        return Value(out, tuple(shape))

    def constant(self, array: np.ndarray) -> str:
        """Put an array into the graph and give its name there."""
        from onnx import helper

        name = f"c{next(self.names)}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.proto.initializer.add(
            name=name, dims=array.shape, data_type=kind, raw_data=array.tobytes()
        )
        return name


def write(model: Classifier) -> bytes:
    """The ONNX file of a network with its weights.

    Parameters
    ----------
    model
        In float32, made of convolutions, pools, sums, products and dense layers.

    Raises
    ------
    InputError
        If the package onnx is missing, or the network does something that is not known here.
    """
    try:
        from onnx import ModelProto, TensorProto, helper
    except ImportError:
        raise InputError(
            f"running a network with onnxruntime needs the packages onnx and onnxruntime: {INSTALL}"
        ) from None
    card = model.card
    mean, std = (np.array(values, np.float32) for values in (card.mean, card.std))

    def logits(weights, images):
        return nnx.merge(model.net, weights)((images - mean) / std)

    weights = jax.tree.map(np.asarray, model.weights)
    shape = (1, card.height, card.width, card.channels)
    with layers.plain():
        traced = jax.make_jaxpr(logits)(weights, np.zeros(shape, np.float32))
    whole = ModelProto(ir_version=10, opset_import=[helper.make_opsetid("", OPSET)])
    whole.graph.name = card.name.partition("@")[0]
    whole.graph.input.append(
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *shape[1:]])
    )
    graph = Graph(whole.graph)
    images = graph.add("Transpose", [Value("images", shape)], shape, perm=FIRST)
    arguments = [*jax.tree.leaves(weights), images]
    (scores,) = _run(graph, traced.jaxpr, traced.consts, arguments)
    probs = graph.add("Softmax", [scores], scores.shape, axis=-1)
    whole.graph.output.append(
        helper.make_tensor_value_info(probs.name, TensorProto.FLOAT, ["n", probs.shape[1]])
    )
    return whole.SerializeToString()


def _run(graph: Graph, jaxpr, consts, arguments) -> list[Any]:
    """Go through JAX's operations; gives what comes out, arrays or values of the graph."""
    values: dict[Any, Any] = dict(
        zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True)
    )

    def read(atom):
        return np.asarray(atom.val) if hasattr(atom, "val") else values[atom]

    for step in jaxpr.eqns:
        inputs = [read(atom) for atom in step.invars]
        found = _step(graph, step, inputs)
        values.update(zip(step.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _step(graph: Graph, step, inputs) -> list[Any]:
    kind, settings, shape = step.primitive.name, step.params, step.outvars[0].aval.shape
    if not any(isinstance(x, Value) for x in inputs):
        found = step.primitive.bind(*inputs, **settings)
        return [np.asarray(x) for x in (found if step.primitive.multiple_results else [found])]
    inner = settings.get("jaxpr") or settings.get("call_jaxpr")
    if inner is not None:
        if settings.get("name") == "relu":
            return [graph.add("Relu", inputs, shape)]
        if settings.get("name") == "relu6":
            ends = [np.array(end, np.float32) for end in (0, 6)]
            return [graph.add("Clip", [*inputs, *ends], shape)]
        return _run(graph, inner.jaxpr, inner.consts, inputs)
    if kind not in OPERATORS:
        raise InputError(
            f"a network for onnxruntime must be made of convolutions, pools and dense layers, got "
            f"one with {kind}: run it without onnxruntime."
        )
    return [OPERATORS[kind](graph, settings, inputs, shape)]


def _convolution(graph: Graph, settings, inputs, shape) -> Value:
    """A convolution in the one order of axes that `layers` uses."""
    spec = settings["dimension_numbers"]
    dilated = (*settings["lhs_dilation"], *settings["rhs_dilation"], settings["batch_group_count"])
    assert (spec.lhs_spec, spec.rhs_spec, spec.out_spec) == LAYERS, spec
    assert set(dilated) == {1}, dilated
    x, kernel = inputs
    return graph.add(
        "Conv",
        [x, kernel.transpose(3, 2, 0, 1)],
        shape,
        strides=settings["window_strides"],
        pads=_pads(settings["padding"]),
        group=settings["feature_group_count"],
    )


def _pads(pads: Sequence[tuple[int, int]]) -> list[int]:
    """All beginnings, then all ends."""
    return [before for before, _ in pads] + [after for _, after in pads]


def _window(settings) -> dict[str, Any]:
    """The window of a pool; that of JAX has the axes n and c too, without effect."""
    assert set(settings["base_dilation"]) | set(settings["window_dilation"]) == {1}
    return {
        "kernel_shape": settings["window_dimensions"][1:3],
        "strides": settings["window_strides"][1:3],
        "pads": _pads(settings["padding"][1:3]),
    }


def _largest(graph: Graph, settings, inputs, shape) -> Value:
    return graph.add("MaxPool", inputs, shape, **_window(settings))


def _total(graph: Graph, settings, inputs, shape) -> Value:
    """The sum over a window: its mean, zeros of the rim counted, times its size."""
    mean = graph.add("AveragePool", inputs, shape, count_include_pad=1, **_window(settings))
    return graph.add("Mul", [mean, np.array(np.prod(settings["window_dimensions"]), "f4")], shape)


def _by_value(kind: str) -> Callable[..., Value]:
    """An operator that takes numbers one by one; a smaller array meets every picture."""

    def make(graph: Graph, settings, inputs, shape) -> Value:
        return graph.add(kind, [_channels_first(x) for x in inputs], shape)

    return make


def _channels_first(x: Value | np.ndarray) -> Value | np.ndarray:
    return x.transpose(FIRST) if isinstance(x, np.ndarray) and x.ndim == 4 else x


def _sum(graph: Graph, settings, inputs, shape) -> Value:
    (x,) = inputs
    axes = [FIRST.index(axis) if len(x.shape) == 4 else axis for axis in settings["axes"]]
    return graph.add("ReduceSum", [x, np.array(axes, np.int64)], shape, keepdims=0)


def _side_by_side(graph: Graph, settings, inputs, shape) -> Value:
    axis = settings["dimension"]
    axis = FIRST.index(axis) if len(shape) == 4 else axis
    return graph.add("Concat", [_channels_first(x) for x in inputs], shape, axis=axis)


def _product(graph: Graph, settings, inputs, shape) -> Value:
    assert settings["dimension_numbers"] == (((1,), (0,)), ((), ())), settings
    return graph.add("MatMul", inputs, shape)


OPERATORS: dict[str, Callable[..., Value]] = {
    "conv_general_dilated": _convolution,
    "reduce_window_max": _largest,
    "reduce_window_sum": _total,
    "reduce_sum": _sum,
    "concatenate": _side_by_side,
    "dot_general": _product,
    "add": _by_value("Add"),
    "sub": _by_value("Sub"),
    "mul": _by_value("Mul"),
    "div": _by_value("Div"),
    "max": _by_value("Max"),
    "min": _by_value("Min"),
}
