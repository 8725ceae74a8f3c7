"""Change a region: what moves, what is painted, what is filled; and sweeps of a knob."""

__all__ = ["edit", "knobs", "whatif"]
