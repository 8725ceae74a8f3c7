"""The far end of `apart`: a program that opens one graph at a time and runs it on pictures.

It is started by its path and imports nothing of ours, so that it is soon there. Requests come in,
and answers go out, as a line of JSON and the bytes of an array where there is one:

    start (kind, places)   -> version            libraries are loaded
    open (path, memory)    -> inputs, outputs    from here on memory is bounded
    run (outputs, most)    -> shape, dtype       or only the shapes, where `most` is 0
    close                                        no answer; without a request it ends in a minute

It ends with whoever started it: then its input ends, also in the middle of a run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import signal
import sys
import threading
import time
import warnings
import zipfile
from typing import Any

IDLE = 60.0  # seconds
MOST_TOLD = 20  # inputs and outputs that are told one by one
MOST_TEXT = 2000  # characters of a reason
GROWN = 1_000_000_000  # bytes; a process that ever took more is not used again
MOST_WEIGHTS = 1_000_000_000  # bytes
TIGHT = ("bad_alloc", "allocate memory", "available memory", "out of memory", "resource_exhausted")
PLAIN = ("float16", "float32", "float64")


class Told(Exception):
    """What is wrong with a graph, in a sentence that is fit for a user behind its file's name."""


class Onnx:
    """A graph run by onnxruntime."""

    def __init__(self, path: str, memory: int):
        import onnxruntime as ort

        options = session_options()
        # Memory of all graphs here comes from one store, which can be bounded on every system.
        info = ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        )
        with contextlib.suppress(Exception):  # it is there from an earlier graph
            ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": memory}))
        options.add_session_config_entry("session.use_env_allocators", "1")
        self.session = ort.InferenceSession(path, options, providers=providers())
        self.inputs, self.outputs = (
            [(port.name, port.type, list(port.shape or [])) for port in ports]
            for ports in (self.session.get_inputs(), self.session.get_outputs())
        )

    @staticmethod
    def load() -> tuple[str, bool]:
        """Load the library: its version, and whether it computes on more than the processor."""
        import onnxruntime

        return onnxruntime.__version__, len(providers()) > 1

    def run(self, outputs: list[int], x: Any) -> list[Any]:
        """The outputs with these numbers."""
        names = [self.outputs[i][0] for i in outputs]
        return self.session.run(names, {self.inputs[0][0]: x})


class Keras:
    """A model of Keras, compiled by JAX for each shape of its input."""

    def __init__(self, path: str, memory: int):
        import jax
        import keras

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the state of its optimizer is not wanted
            size = weights_size(keras, path)
            if size > MOST_WEIGHTS:
                raise Told(
                    f"must have at most {MOST_WEIGHTS // 1_000_000} MB of weights, its layers ask "
                    f"for {size / 1e6:.0f} MB: give a smaller model."
                )
            self.model = keras.saving.load_model(path, safe_mode=True, compile=False)
        self.memory = memory
        self.steps: dict[tuple[int, ...], Any] = {}
        self.inputs, self.outputs = (
            [(t.name, t.dtype, list(t.shape)) for t in getattr(self.model, what, None) or []]
            for what in ("inputs", "outputs")
        )
        model = self.model
        groups = (model.trainable_variables, model.non_trainable_variables)
        self.values = jax.device_put([[variable.value for variable in group] for group in groups])

    @staticmethod
    def load() -> tuple[str, bool]:
        """Load the libraries: Keras' version, and whether there is more than the processor."""
        import h5py  # noqa: F401
        import jax
        import keras

        return keras.__version__, jax.default_backend() != "cpu"

    def run(self, outputs: list[int], x: Any) -> list[Any]:
        """The one output."""
        if x.shape not in self.steps:
            self.steps[x.shape] = self.compiled(x)
        return [self.steps[x.shape](*self.values, x)]

    def compiled(self, x: Any) -> Any:
        """The model for one shape, once it is known to fit in memory."""
        import jax

        def step(weights, state, x):
            return self.model.stateless_call(weights, state, x, training=False)[0]

        traced = jax.jit(step).trace(*self.values, x)
        self.fits(largest(traced.jaxpr.jaxpr), x)
        found = traced.lower().compile()
        plan = found.memory_analysis()
        self.fits(sum(getattr(plan, f"{part}_size_in_bytes", 0) for part in ("temp", "output")), x)
        return found

    def fits(self, needs: int, x: Any) -> None:
        """Refuse what takes more bytes than there may be."""
        if needs > self.memory:
            raise Told(
                f"must do with {self.memory / 1e9:.1f} GB of memory, got a model that takes "
                f"{needs / 1e9:.1f} GB for {len(x)} pictures at once: give a smaller model, or "
                'tell a smaller "batch".'
            )


def largest(jaxpr: Any) -> int:
    """Bytes of the largest array on the way through a program of JAX, fused away or not."""
    found = 0
    for step in jaxpr.eqns:
        for kind in (value.aval for value in step.outvars):
            found = max(found, math.prod(kind.shape) * kind.dtype.itemsize)
        inner = [one for given in step.params.values() for one in listed(given)]
        found = max([found, *(largest(getattr(one, "jaxpr", one)) for one in inner)])
    return found


def listed(given: Any) -> list[Any]:
    """The programs in a setting of a step."""
    several = given if isinstance(given, tuple | list) else [given]
    return [one for one in several if hasattr(one, "jaxpr") or hasattr(one, "eqns")]


def weights_size(keras: Any, path: str) -> int:
    """Bytes that the weights will take, worked out from shapes alone.

    A layer of a few letters in the configuration can ask for more memory than there is.
    """
    import jax

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))

    def build() -> list[Any]:
        model = keras.saving.deserialize_keras_object(
            config | {"compile_config": None}, safe_mode=True
        )
        return [variable.value for variable in model.variables]

    return sum(math.prod(v.shape) * v.dtype.itemsize for v in jax.eval_shape(build))


def session_options() -> Any:
    """How onnxruntime is to run."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 4  # what goes wrong is said in a sentence
    # Waiting threads would take the cores that JAX needs between two batches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def providers() -> list[str]:
    """What onnxruntime may compute on here, the best first."""
    import onnxruntime as ort

    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in ort.get_available_providers()]


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ------------------------------------------------------------------ bounds


def hold(memory: int, accelerated: bool = False) -> None:
    """Let this process take so many bytes more than now, as far as the system has a way.

    Linux refuses what is over the limit. Other systems tell how much was ever taken, which is
    looked at several times a second, and so is a process with an accelerator: its driver sets
    memory aside by far more than it takes, and has libraries of gigabytes. Windows tells nothing.
    """
    try:
        import resource
    except ImportError:
        return
    if sys.platform == "linux" and not accelerated:
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[5]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = now + memory if hard == resource.RLIM_INFINITY else min(now + memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    elif not any(thread.name == "watch" for thread in threading.enumerate()):
        limit = taken() + memory * (2 if accelerated else 1)
        threading.Thread(target=watch, args=(limit,), name="watch", daemon=True).start()


def watch(limit: int) -> None:
    """End this process once it has taken more than so many bytes."""
    while taken() <= limit:
        time.sleep(0.05)
    os._exit(1)


def taken() -> int:
    """Most bytes of memory that this process ever had at once; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        # Not from `resource`, where Linux counts what was there before the program started, too.
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


# ------------------------------------------------------------------ requests


def listen(requests: queue.SimpleQueue[tuple[dict[str, Any], bytes]]) -> None:
    """Hand on what comes in; when nothing more can come, the process is over."""
    source = sys.stdin.buffer
    while line := source.readline():
        request = json.loads(line)
        requests.put((request, source.read(request.get("bytes", 0))))
    os._exit(0)


def answer(graph: Any, request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], Any]:
    """What a graph has to say to a request, and an array or None."""
    import numpy as np

    x = np.frombuffer(data, request["dtype"]).reshape(request["shape"])
    found = graph.run(request["outputs"], x)
    most = request["most"]
    if not most:
        return {"shapes": [list(one.shape) for one in found]}, None
    (scores,) = found
    if scores.size > most:
        raise Told(
            f"must give at most {most} scores for {len(x)} pictures, got {scores.size}: give an "
            "image classifier."
        )
    scores = np.asarray(scores)
    if scores.dtype.name not in PLAIN:
        scores = scores.astype(np.float32)
    return {"shape": scores.shape, "dtype": scores.dtype.name}, np.ascontiguousarray(scores)


def facts(graph: Any) -> dict[str, Any]:
    """The inputs and outputs of a graph: how many, and the first few."""
    found: dict[str, Any] = {}
    for what, ports in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        told = [
            (str(name)[:60], str(kind)[:60], [s if isinstance(s, int) else None for s in shape[:8]])
            for name, kind, shape in ports[:MOST_TOLD]
        ]
        found |= {what: told, f"all_{what}": len(ports)}
    return found


def main() -> None:
    """Answer until there is nobody to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # is for whoever started this
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where libraries print
    requests: queue.SimpleQueue[tuple[dict[str, Any], bytes]] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    kind: Any = None
    graph: Any = None
    accelerated = False
    while True:
        try:
            request, data = requests.get(timeout=IDLE if graph is None else None)
        except queue.Empty:
            os._exit(0)
        reply: dict[str, Any] = {}
        array = None
        try:
            if request["do"] == "start":
                sys.path[:] = request["places"]
                kind = KINDS[request["kind"]]
                version, accelerated = kind.load()
                reply = {"version": version}
            elif request["do"] == "open":
                hold(request["memory"], accelerated)
                graph = kind(request["path"], request["memory"])
                reply = facts(graph)
            elif request["do"] == "close":
                graph = None
                if taken() > GROWN:
                    os._exit(0)
                continue
            else:
                reply, array = answer(graph, request, data)
        except Told as error:
            reply = {"told": str(error)}
        except MemoryError:
            reply = {"tight": True}
        except Exception as error:  # the libraries have a class of their own for every failure
            text = " ".join(str(error).split())
            tight = any(word in text.lower() for word in TIGHT)
            reply = {"tight": True} if tight else {"failed": text[:MOST_TEXT]}
        out.write(json.dumps(reply).encode() + b"\n")
        if array is not None:
            out.write(array.data)
        out.flush()


KINDS = {"onnx": Onnx, "keras": Keras}

if __name__ == "__main__":
    main()
