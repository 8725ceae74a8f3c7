"""What machine and versions a table was measured with, and how tables are printed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np


def describe() -> str:
    """One line: processor, cores, device, versions."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    packages = ", ".join(f"{p} {version(p)}" for p in ("jax", "flax", "numpy", "scikit-image"))
    device = jax.devices()[0]
    return (
        f"{processor}, {os.cpu_count()} cores; {device.platform} {device.device_kind}; "
        f"Python {platform.python_version()}, {packages}"
    )


def table(capsys, title: str, heads, rows: dict[str, list]) -> None:
    """Print rows of means under their heads."""
    with capsys.disabled():
        print(f"\n{title}\n  [{describe()}]")
        print(f"  {'':26s}" + "".join(f"{head!s:>9}" for head in heads))
        for label, cells in rows.items():
            print(f"  {label:26s}" + "".join(f"{np.mean(cell):9.3f}" for cell in cells))
