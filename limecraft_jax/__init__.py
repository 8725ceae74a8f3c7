"""Explain one prediction of an image classifier, with the regions you draw yourself."""

__version__ = "0.1.0"
