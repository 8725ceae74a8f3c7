"""What all test files share."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _short_collections():
    """Keep what earlier files left behind out of the garbage collector's sight.

    Streamlit collects garbage after every run of a page once Keras is imported, and looking through
    all that JAX and Keras keep alive takes longer than the page.
    """
    gc.collect()
    gc.freeze()
