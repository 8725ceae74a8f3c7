"""The app as a visitor meets it: a server of its own, and a browser."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
