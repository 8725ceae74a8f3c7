"""A graph from a stranger, opened and run in a process of its own, within bounds.

    images -> pipe -> `worker`: onnxruntime, or Keras on JAX -> pipe -> scores

A few letters in a file can ask for endless loops, for more memory than there is, or for what makes
a library crash, and some do so for certain pictures alone. The process has a limit of memory and is
ended when it is late; whatever happens to it, this one goes on and says in a sentence what it was.
A process whose graph is gone waits a minute for the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from limecraft_jax.types import InputError

if TYPE_CHECKING:
    from jaxtyping import Num

WORKER = Path(__file__).with_name("worker.py")
START = 120.0  # seconds for Python and its libraries to be loaded, from a slow disk
# Seconds to open a file, and again for its first answers. ResNet-152 needs 1, and 2 in all; to
# compile a large network of Keras takes up to a minute.
SECONDS = {"onnx": 30.0, "keras": 120.0}
PATIENCE = 20  # a later answer may take so many times longer than the quickest, for each picture
MEMORY = 4_000_000_000  # bytes, or half of what the machine has
ENVIRONMENT = {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class Failed(Exception):
    """A library could not do what it was asked to: its reason, and its version."""

    def __init__(self, reason: str, version: str):
        super().__init__(reason)
        self.version = version


class _Crash(InputError):
    """The process died, nobody knows why."""


class _Ended(Exception):
    """The process is no more; whether it was ended because it was late."""

    def __init__(self, late: bool):
        super().__init__(late)
        self.late = late


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph: its name, type and size of each axis, None where open."""

    name: str
    type: str
    shape: tuple[int | None, ...]


class Graph:
    """A graph in a process of its own.

    One answer is worked on at a time. A process that was ended is started again by the next
    question, so the file must stay where it is.

    Parameters
    ----------
    kind
        ``"onnx"`` or ``"keras"``.
    path
        The file.

    Attributes
    ----------
    inputs, outputs
        The first few of each.
    all_inputs
        How many inputs there are.
    close
        Give the process up; happens by itself when nobody needs the graph any more.

    Raises
    ------
    InputError
        From here and from every question: if the time or the memory is up, or the process died.
    Failed
        Likewise: if the library has a reason of its own.
    """

    def __init__(self, kind: str, path: Path):
        self.kind, self.path = kind, path.absolute()
        self.seconds, self.memory = SECONDS[kind], memory()
        self._quickest = math.inf  # seconds for each picture
        self._lock = threading.Lock()
        self._held: list[_Process] = []
        self.close = weakref.finalize(self, _release, self._held)
        try:
            with self._lock:
                facts = self._open()
        except BaseException:
            self.close()
            raise
        self.inputs, self.outputs = (
            [Tensor(name, type, tuple(shape)) for name, type, shape in facts[what]]
            for what in ("inputs", "outputs")
        )
        self.all_inputs: int = facts["all_inputs"]

    def shapes(self, outputs: Sequence[int], x: Num[np.ndarray, "n ..."]) -> list[tuple[int, ...]]:
        """Shapes of what comes out for some pictures; the numbers stay where they are."""
        reply, _ = self._run(outputs, x, 0)
        return [tuple(shape) for shape in reply["shapes"]]

    def run(self, output: int, x: Num[np.ndarray, "n ..."], most: int) -> Num[np.ndarray, "..."]:
        """One output for some pictures, if it holds at most so many numbers."""
        _, scores = self._run([output], x, most)
        return scores

    def _run(
        self, outputs: Sequence[int], x: np.ndarray, most: int
    ) -> tuple[dict[str, Any], np.ndarray]:
        x = np.ascontiguousarray(x)
        request = {"do": "run", "outputs": list(outputs), "most": most}
        request |= {"shape": x.shape, "dtype": x.dtype.name, "bytes": x.nbytes}
        with self._lock:
            if not self._held:
                self._open()
            limit = self.seconds
            if self._quickest < math.inf:
                limit += PATIENCE * len(x) * self._quickest
            start = time.monotonic()
            answer = self._ask(request, x, limit, f"answer {len(x)} picture{'s' * (len(x) > 1)}")
            self._quickest = min(self._quickest, (time.monotonic() - start) / len(x))
        return answer

    def _open(self) -> dict[str, Any]:
        """Open the file, in a process that is there already or in a new one."""
        if not self.path.is_file():
            raise InputError(
                f"{self.path.name} must stay where it was for as long as it is asked, got no file "
                "there: open it again from where it is now."
            )
        request = {"do": "open", "path": str(self.path), "memory": self.memory}
        waiting = _idle.pop(self.kind, None)
        if waiting:
            self._held.append(waiting)
            with contextlib.suppress(_Crash):  # its minute was just over
                return self._ask(request, None, self.seconds, "open")[0]
        self._held.append(_Process(self.kind, self.path.name))
        return self._ask(request, None, self.seconds, "open")[0]

    def _ask(
        self, request: dict[str, Any], x: np.ndarray | None, seconds: float, what: str
    ) -> tuple[dict[str, Any], Any]:
        """Ask the process; one that is late, dead or interrupted is given up."""
        process, file = self._held[0], self.path.name
        try:
            reply, scores = process.ask(request, x, seconds)
        except BaseException as error:
            self._give_up()
            if not isinstance(error, _Ended):
                raise
            if error.late:
                raise InputError(
                    f"{file} must {what} within {seconds:.0f} seconds, got nothing until then: "
                    'give a model without endless loops, a smaller one, or tell a smaller "batch".'
                ) from None
            raise _Crash(
                f"{file} must {what} without a crash, got one (status "
                f"{process.popen.returncode}): export it again, or give a smaller model."
            ) from None
        if "failed" in reply:
            raise Failed(reply["failed"].replace(str(self.path), file), process.version)
        if "told" in reply:
            raise InputError(f"{file} {reply['told']}")
        if "tight" in reply:
            self._give_up()
            raise InputError(
                f"{file} must do with {self.memory / 1e9:.1f} GB of memory, got a model that asks "
                'for more: give a smaller one, or tell a smaller "batch".'
            )
        return reply, scores

    def _give_up(self) -> None:
        self._held.pop().end()


@contextlib.contextmanager
def opened(kind: str, path: Path) -> Iterator[Graph]:
    """A graph that is given up at once if it turns out not to be fit for use."""
    graph = Graph(kind, path)
    try:
        yield graph
    except BaseException:
        graph.close()
        raise


class _Process:
    """A worker that runs, its libraries loaded."""

    def __init__(self, kind: str, file: str):
        self.kind = kind
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                env=os.environ | ENVIRONMENT,
            )
        except OSError as error:
            raise InputError(
                f"{file} must be opened in a process of its own, got none from the system "
                f"({error}): free some memory, or end other programs."
            ) from None
        request = {"do": "start", "kind": kind, "places": sys.path}
        try:
            reply, _ = self.ask(request, None, START)
        except BaseException:
            self.end()
            raise
        if "failed" in reply:
            self.end()
            raise InputError(
                f"{file} needs {kind}'s packages, got some that cannot be loaded "
                f"({reply['failed'][:300]}): install them again."
            )
        self.version: str = reply["version"]

    def ask(
        self, request: dict[str, Any], x: np.ndarray | None, seconds: float
    ) -> tuple[dict[str, Any], Any]:
        """A reply and the array that comes with it, or None."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.popen.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            self.send(request, x)
            source = self.pipe(self.popen.stdout)
            reply = json.loads(source.readline() or b"null")
            if reply is None:
                raise EOFError
            return reply, received(source, reply) if "dtype" in reply else None
        except (OSError, EOFError, ValueError):
            self.popen.kill()
            self.popen.wait()
            raise _Ended(late.is_set()) from None
        finally:
            timer.cancel()

    def send(self, request: dict[str, Any], x: np.ndarray | None = None) -> None:
        """A request and the array that goes with it."""
        target = self.pipe(self.popen.stdin)
        target.write(json.dumps(request).encode() + b"\n")
        if x is not None:
            target.write(x.data)
        target.flush()

    @staticmethod
    def pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        """One end of the process, which has both."""
        assert pipe
        return pipe

    def end(self) -> None:
        """End the process."""
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                self.pipe(pipe).close()


def received(source: IO[bytes], reply: dict[str, Any]) -> np.ndarray:
    """The array behind a reply."""
    array = np.empty(reply["shape"], reply["dtype"])
    data = source.read(array.nbytes)
    if len(data) < array.nbytes:
        raise EOFError
    return np.frombuffer(data, array.dtype).reshape(array.shape)


def memory() -> int:
    """Bytes that a graph may take."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return MEMORY
    return min(MEMORY, whole // 2)


_idle: dict[str, _Process] = {}


def _release(held: list[_Process]) -> None:
    """Let a process wait for the next graph of its kind, unless another one does."""
    while held:
        process = held.pop()
        try:
            process.send({"do": "close"})
            if _idle.setdefault(process.kind, process) is process:
                continue
        except (OSError, ValueError):
            pass
        process.end()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.popitem()[1].end()
