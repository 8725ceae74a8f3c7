"""Several visitors at once: threads that explain side by side do not hang."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.server import ROOT

PATIENCE = 120  # seconds; the work takes 5, a deadlock takes forever


def test_threads_that_fit_at_once_do_not_wait_for_each_other_forever():
    """On few cores XLA hangs when two batches of Cholesky factorizations meet; so we let it not."""
    code = """
    import os, threading
    if hasattr(os, "sched_setaffinity"):  # as on a small host, however large this machine is
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    import numpy as np
    from limecraft_jax.path import surrogate
    rng = np.random.default_rng(0)
    z, y = rng.random((1000, 100)) > 0.5, rng.random((1000, 7))
    answers = []
    def fit():
        for _ in range(20):
            answers.append(surrogate.fit(z, y, np.ones(1000), surrogate.Ridge()).coef)
    threads = [threading.Thread(target=fit, daemon=True) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(answers) == 80 and all((answer == answers[0]).all() for answer in answers)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, cwd=ROOT, timeout=PATIENCE, check=True)
