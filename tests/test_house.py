"""The house keeps its plan: imports go down only, and what is slow to import comes late."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import limecraft_jax
from tests import run

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "limecraft_jax"
SCREEN = [ROOT / "streamlit_app.py", *sorted((ROOT / "pages").glob("*.py"))]
FILES = {p: ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
FILES |= {p: ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in SCREEN}

# Which floor a room is on. Imports go down; inside a room they are free.
FLOORS = {
    "limecraft_jax": 0,
    "types": 1,
    "pytree": 1,
    "files": 2,
    "show": 2,
    "models": 2,
    "path": 3,
    "edits": 4,
    "compare": 5,
    "app": 6,
    "cli": 6,
    "__main__": 7,
    "pages": 7,
    "streamlit_app": 7,
}


def home(module: str) -> str:
    """The room of a module: the first name below the package, or the module itself."""
    parts = [part for part in module.split(".") if part != "__init__"]
    return parts[1] if parts[0] == "limecraft_jax" and len(parts) > 1 else parts[0]


def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere, also for types alone, by their full names."""
    found = set()
    package = FILES[path].split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found |= {
                name if name in FILES.values() or f"{name}.__init__" in FILES.values() else origin
                for name in (f"{origin}.{alias.name}" for alias in node.names)
            }
    return found


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_imports_go_down_only(path):
    here = home(FILES[path])
    assert here in FLOORS, f"{FILES[path]} must have a floor: add its room to the plan."
    for name in imports(path):
        if name.split(".")[0] not in ("limecraft_jax", "pages", "streamlit_app"):
            continue
        there = home(name)
        assert there in FLOORS, f"{name} must have a floor: add its room to the plan."
        down = FLOORS[there] < FLOORS[here] or here == there or FLOORS[here] == FLOORS[there] == 1
        assert down, f"{FILES[path]} must not look across or up to {name}."


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_only_the_screen_knows_streamlit_and_altair(path):
    names = {name.split(".")[0] for name in imports(path)}
    if home(FILES[path]) not in ("app", "pages", "streamlit_app"):
        assert not names & {"streamlit", "altair", "streamlit_drawable_canvas", "matplotlib"}
    if not FILES[path].startswith("limecraft_jax.app."):
        assert "altair" not in names


def test_every_cache_is_in_one_file():
    for path in FILES:
        uses = [
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr.startswith("cache_")
        ]
        assert bool(uses) == (path == PACKAGE / "app" / "cache.py"), (path, uses)


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= 350


def loaded_after(code: str) -> set[str]:
    """Packages that are loaded in a fresh Python after running some code."""
    tell = "\nimport sys, json; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tell], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light():
    heavy = {"streamlit", "altair", "matplotlib", "jax", "flax", "skimage", "sklearn", "scipy"}
    assert not loaded_after("import limecraft_jax") & heavy


def test_importing_the_core_brings_no_screen():
    rooms = ("cli", "show.draw", "show.report", "path.lime")
    loaded = loaded_after("\n".join(f"import limecraft_jax.{name}" for name in rooms))
    assert "jax" in loaded
    assert not loaded & {"streamlit", "altair", "matplotlib", "pandas", "sklearn"}


def test_the_page_is_drawn_before_anything_heavy_is_loaded():
    code = """
import json, sys
from streamlit.testing.v1 import AppTest
from limecraft_jax.app import choose
seen = []
choose.say = lambda subject: seen.append(sorted({m.split('.')[0] for m in sys.modules}))
page = AppTest.from_file("streamlit_app.py", default_timeout=60).run()
assert not page.exception
print(json.dumps(seen[0]))
sys.exit()
"""
    loaded = loaded_after(code)
    assert {"streamlit", "streamlit_drawable_canvas"} <= loaded
    assert not loaded & {"jax", "flax", "altair", "sklearn", "matplotlib", "optax"}


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_everything_public_has_a_docstring(path):
    def check(node, name):
        assert ast.get_docstring(node), f"{name} must have a docstring."
        protocol = "Protocol" in map(ast.unparse, getattr(node, "bases", []))
        for child in [] if protocol else node.body:
            kind = isinstance(child, ast.ClassDef | ast.FunctionDef)
            if kind and not child.name.startswith("_") and not isinstance(node, ast.FunctionDef):
                check(child, f"{name}.{child.name}")

    check(ast.parse(path.read_text()), FILES[path])


def test_public_names_lead_somewhere():
    for name in limecraft_jax.__all__:
        assert getattr(limecraft_jax, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        limecraft_jax.nonsense  # noqa: B018
    assert set(dir(limecraft_jax)) == set(limecraft_jax.__all__)


@pytest.mark.parametrize("broken", [None, "ruff", "mypy", "pytest"])
def test_the_one_command_tells_what_failed(broken, monkeypatch, capsys):
    called = []

    def call(*command):
        called.append(command)
        return "pip" in command or broken not in command

    monkeypatch.setattr(run, "call", call)
    monkeypatch.setattr(run, "get_browser", lambda: True)
    assert run.main(["-k", "nothing"]) == (broken is not None)
    names = ", ".join(name for name in run.CHECKS if broken and name.startswith(broken))
    assert capsys.readouterr().out == (f"Failed: {names}.\n" if names else "All checks passed.\n")
    assert [command[3:] for command in called if "-k" in command] == [("-k", "nothing")]
    assert len(called) == 1 + len(run.CHECKS)
