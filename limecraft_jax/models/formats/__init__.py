"""Classifiers that people bring: ONNX and Keras files, weights, and what is told about them."""

__all__ = ["about", "kerasfile", "onnxfile", "own"]
