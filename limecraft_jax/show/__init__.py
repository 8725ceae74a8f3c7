"""Numbers, tables and pictures from an explanation."""

__all__ = ["draw", "radar", "report", "whole"]
