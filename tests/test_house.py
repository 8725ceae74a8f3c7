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

# Which floor a room is on. Imports go down only; inside a room they are free, but no circle.
FLOORS = {
    "limecraft_jax": 0,
    "regions": 0.5,  # plain arrays: what a record of answers tells of whole regions
    "types": 1,
    "pytree": 1,
    "pixels": 1.5,
    "bounds": 1.5,  # over types alone
    "files": 2,
    "show": 2,
    "models": 2,
    "path": 3,
    "edits": 4,
    "compare": 5,
    "app.shared": 6,
    "cli": 6,
    "app.explain": 7,
    "app.whatif": 7,
    "__main__": 8,
    "pages": 8,
    "streamlit_app": 8,
}


def home(module: str) -> str:
    """The room of a module: the longest entry of FLOORS that its name begins with."""
    parts = [part for part in module.split(".") if part not in ("limecraft_jax", "__init__")]
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOORS), ".".join(parts) or "limecraft_jax")


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


def ours(path: Path) -> set[str]:
    """The modules of this project that a file imports."""
    return {n for n in imports(path) if n.split(".")[0] in ("limecraft_jax", "pages")}


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_imports_go_down_only(path):
    here = home(FILES[path])
    if here == "app":  # the house around the sub-rooms holds nothing itself
        assert not ours(path)
        return
    assert here in FLOORS, f"{FILES[path]} must have a floor: add its room to the plan."
    for name in ours(path):
        there = home(name)
        assert there in FLOORS, f"{name} must have a floor: add its room to the plan."
        down = here == there or FLOORS[there] < FLOORS[here]
        assert down, f"{FILES[path]} must not look across or up to {name}."


def test_no_modules_import_each_other_in_a_circle():
    """Also for types alone, and inside functions; a package stands for the room around it."""
    names = {name: path for path, name in FILES.items() if not name.endswith("__init__")}
    left = {name: {to for to in ours(path) if to in names} for name, path in names.items()}
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"these import each other in a circle: {sorted(left)}"


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_rooms_are_entered_by_the_doors_they_name(path):
    """What another room may use is what ``__all__`` of a room's ``__init__`` hands on."""
    for name in ours(path):
        there = home(name)
        room = PACKAGE.joinpath(*there.split("."), "__init__.py")
        if there == home(FILES[path]) or there.startswith("app.") or not room.is_file():
            continue
        inner = name.removeprefix(f"limecraft_jax.{there}").strip(".").split(".")
        while inner[0] and (sub := room.parent / inner[0] / "__init__.py").is_file():
            room, inner = sub, inner[1:] or [""]
        doors = next(
            ast.literal_eval(node.value)
            for node in ast.parse(room.read_text()).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        )
        assert not inner[0] or inner[0] in doors, f"{FILES[path]} must not reach for {name}."


def test_every_room_says_its_purpose_in_one_line():
    for room in {path.parent for path in FILES if path.is_relative_to(PACKAGE)}:
        doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
        assert doc, room
        assert doc.splitlines()[0].endswith("."), room


@pytest.mark.parametrize("path", FILES, ids=FILES.values())
def test_only_the_screen_knows_streamlit_and_altair(path):
    names = {name.split(".")[0] for name in imports(path)}
    if not home(FILES[path]).startswith(("app", "pages", "streamlit_app")):
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
        assert bool(uses) == (path == PACKAGE / "app" / "shared" / "cache.py"), (path, uses)


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
from limecraft_jax.app.shared import choose
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
