"""What README says to type works as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.server import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
LINES = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


@pytest.fixture
def anywhere(tmp_path):
    """A folder that looks like the repository, but takes what the examples write."""
    (tmp_path / "limecraft_jax").symlink_to(ROOT / "limecraft_jax")
    return {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}


def test_the_python_examples_run(anywhere):
    code = "\n".join(text for kind, text in BLOCKS if kind == "python")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **anywhere)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^(the ruler|elsewhere): [+-]0\.\d{3} \(", done.stdout, re.M)) == 3
    assert done.stdout.startswith("the ruler: +")


def test_the_command_line_example_runs(anywhere):
    (line,) = [line for line in LINES if line.startswith("python -m limecraft_jax explain")]
    command = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(command, capture_output=True, text=True, **anywhere)
    assert done.returncode == 0, done.stderr
    told = json.loads((anywhere["cwd"] / "results" / "explanation.json").read_text())
    assert told["superpixels"]["count"] == 100
    assert {path.name for path in (anywhere["cwd"] / "results").iterdir()} == {
        "explanation.json",
        "labels.png",
        "overlay.png",
    }


def test_every_command_names_what_exists():
    assert "pip install -r requirements.txt && streamlit run streamlit_app.py" in LINES
    assert "python tests/run.py" in LINES
    trained = [line.split()[-1] for line in LINES if "bundled.train" in line]
    from limecraft_jax.models.bundled import train

    assert trained == [*train.TRAINERS, "examples"]
    for path in re.findall(r"(?:limecraft_jax|tests)/[\w/.]+\w", README):
        if not path.endswith("screenshot.png"):
            assert (ROOT / path).exists(), path
