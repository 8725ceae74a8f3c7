"""How fast, compared side by side in one run; prints ratios with the machine and the versions.

Every figure is the median of several rounds in which both sides take turns.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import jax
import numpy as np
import pytest
from lime.lime_image import LimeImageExplainer
from playwright.sync_api import sync_playwright

from limecraft_jax import models
from limecraft_jax.models.blackbox import BlackBox
from limecraft_jax.models.bundled import dermoscopy, digits
from limecraft_jax.path import lime, sample
from limecraft_jax.path.kernel import Exponential
from limecraft_jax.path.surrogate import Ridge
from limecraft_jax.types import Segmentation
from tests.benchmarks.machine import describe
from tests.run import browser as find
from tests.server import SWITCHES, free_port

ROOT = Path(__file__).parents[2]


def memory(process: int) -> float:
    """Resident memory of a process in bytes (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * float(status.partition("VmRSS:")[2].split()[0])


def seconds(work) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(capsys, title, goal, *lines):
    """Print one result."""
    with capsys.disabled():
        print(f"\n{title}\n  [{describe()}]")
        for line in lines:
            print(f"  {line}")
        print(f"  goal: {goal}")


def test_composing_and_fitting_against_the_lime_package(capsys):
    """1000 samples of a 224 × 224 picture in 100 superpixels, the model costs nothing."""
    image = np.random.default_rng(0).random((224, 224, 3))
    r = np.arange(224) * 10 // 224
    labels = (r[:, None] * 10 + r).astype(np.int32)
    segmentation = Segmentation(labels, np.zeros(100, np.int32))

    def free(images):
        return np.array([[0.4, 0.6]] * len(images))

    def theirs():
        LimeImageExplainer(random_state=0).explain_instance(
            image, free, top_labels=2, num_samples=1000, segmentation_fn=lambda _: labels
        )

    def ours():
        settings = lime.Settings(design=sample.Bernoulli())
        start = lime.begin(image.astype(np.float32), segmentation, settings)
        *_, done = lime.query(BlackBox(free, batch=16), start)
        lime.resolve(done)

    ours()
    pairs = [(seconds(theirs), seconds(ours)) for _ in range(5)]
    their, our = (median(side) for side in zip(*pairs, strict=True))
    report(
        capsys,
        "Composing and fitting 1000 samples at 224 × 224, trivial model",
        "30 times faster than lime on a CPU",
        f"lime {their:.2f} s, ours {our:.3f} s: {median(a / b for a, b in pairs):.0f} times faster",
    )


@pytest.mark.parametrize(("name", "goal"), [("lesions", 1.05), ("digits", 1.5)])
def test_an_explanation_against_the_forward_passes_alone(name, goal, capsys):
    """Wall time from picture to coefficients over the network on as many ready pictures."""
    model = models.load(name)
    picture = (
        dermoscopy.draw(9_000_000, 1, True, False).image
        if name == "lesions"
        else digits.split()[2][0]
    )
    image, batch = model.prepare(picture), model.card.batch
    segmentation = lime.cut(image, None, lime.Settings())
    ready = jax.device_put(np.broadcast_to(image, (batch, *image.shape)).copy())
    forward = jax.jit(lambda model, images: model(images))
    model = jax.device_put(model)

    def pure():
        for _ in range(-(-1000 // batch)):
            answer = forward(model, ready)
        answer.block_until_ready()

    def whole():
        *_, done = lime.query(model, lime.begin(image, segmentation, lime.Settings()))
        lime.resolve(done)

    whole()
    pure()
    pairs = [(seconds(whole), seconds(pure)) for _ in range(9)]
    our, network = (median(side) for side in zip(*pairs, strict=True))
    report(
        capsys,
        f"1000 samples of {name}, {segmentation.num} superpixels, batch {batch}",
        f"at most {goal} times the pure forward passes on a CPU",
        f"explanation {our:.3f} s, forward alone {network:.3f} s ({1000 / network:.0f} images/s): "
        f"ratio {median(a / b for a, b in pairs):.3f}",
    )


def test_moving_a_slider(capsys):
    """Solve again from the answers: n = 1000, d = 100, k = 10."""
    rng = np.random.default_rng(0)
    image = rng.random((100, 1, 1)).astype(np.float32)
    segmentation = Segmentation(np.arange(100, dtype=np.int32)[:, None], np.zeros(100, np.int32))
    answers = rng.random((1000, 10))
    start = lime.begin(image, segmentation, lime.Settings())
    *_, done = lime.query(BlackBox(lambda images: answers, batch=1000), start)
    lime.resolve(done)
    widths = np.geomspace(0.1, 2, 15)
    times = [seconds(lambda w=w: lime.resolve(done, Exponential(w), Ridge(w))) for w in widths]
    report(
        capsys,
        "Coefficients, intervals and R² again at n = 1000, d = 100, k = 10",
        "at most 50 ms",
        f"median {1000 * median(times):.1f} ms, worst of {len(times)} {1000 * max(times):.1f} ms",
    )


def test_opening_the_page(capsys):
    """From a fresh server: first picture on the page, the memory then and after 1000 samples."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find(), args=SWITCHES)
            browser.new_page().goto("about:blank")
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            start = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}")
            page.wait_for_selector("canvas.upper-canvas", timeout=60_000)
            first, at_first = time.perf_counter() - start, memory(server.pid)
            page.wait_for_selector("text=sure.", timeout=60_000)
            said, at_said = time.perf_counter() - start, memory(server.pid)
            page.get_by_role("button", name="Explain").last.click()
            page.wait_for_selector("text=Read the answer", timeout=120_000)
            page.wait_for_timeout(2000)
            at_end = memory(server.pid)
            again = browser.new_page()
            start = time.perf_counter()
            again.goto(f"http://127.0.0.1:{port}")
            again.wait_for_selector("canvas.upper-canvas", timeout=60_000)
            second = time.perf_counter() - start
            browser.close()
    finally:
        server.terminate()
        server.wait()
    report(
        capsys,
        "Opening the page",
        "first page within 2 s; 300 MB before the first explanation, 800 MB after 1000 samples",
        f"picture to draw on after {first:.1f} s (a second visitor: {second:.1f} s), "
        f"{at_first / 1e6:.0f} MB",
        f"classifier's answer after {said:.1f} s, {at_said / 1e6:.0f} MB",
        f"after 1000 samples {at_end / 1e6:.0f} MB",
    )
