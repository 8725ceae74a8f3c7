"""The same work on the command line."""

from limecraft_jax.cli.arguments import main

__all__ = ["main"]
