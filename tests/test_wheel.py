"""The package installs for real: the wheel alone, away from the checkout, explains a picture."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.server import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built as `pip install .` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    source = folder / "source"  # a copy, so that building leaves nothing in the checkout
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


def pip(python: str, *words: str) -> None:
    """Call pip and show what it said if it failed."""
    command = [python, "-m", "pip", *words, "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "limecraft_jax").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == files


def test_the_wheel_asks_for_what_the_app_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        needs = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {line.partition("#")[0].strip() for line in lines} - {""}
    assert {need for need in needs if "extra ==" not in need} == wanted


def test_installed_in_a_fresh_environment_it_explains_a_picture(wheel, tmp_path):
    """Only the dependencies are borrowed from the environment that runs the tests."""
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=True)
    python = str(fresh / "bin" / "python")
    pip(python, "install", "--no-deps", str(wheel))
    paths = sysconfig.get_paths("venv", {"base": str(fresh), "platbase": str(fresh)})
    site = Path(paths["purelib"])
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    where = subprocess.run(
        [python, "-c", "import limecraft_jax; print(limecraft_jax.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout.strip()
    assert Path(where) == site / "limecraft_jax" / "__init__.py"
    picture = site / "limecraft_jax" / "examples" / "digits" / "4.png"
    limecraft = str(fresh / "bin" / "limecraft")
    words = (str(picture), "--model", "digits", "--outside", "9", "--samples", "64")
    for command in ([limecraft], [python, "-m", "limecraft_jax"]):
        out = tmp_path / Path(command[0]).name
        subprocess.run(
            [*command, "explain", *words, "--out", str(out), "--quiet"],
            check=True,
            cwd=tmp_path,
            capture_output=True,
            timeout=300,
        )
        assert json.loads((out / "explanation.json").read_text())["model"] == "digits"
        assert (out / "overlay.png").is_file()
    told = subprocess.run([limecraft, "--help"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("usage: limecraft ")
