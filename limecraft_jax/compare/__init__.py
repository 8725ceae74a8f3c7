"""Many answers side by side: edited variants, their report, and the session that repeats them."""

__all__ = ["bundle", "variants", "webreport"]
