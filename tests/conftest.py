"""What all test files share."""

from __future__ import annotations

import functools
import gc

import pytest
from streamlit.components.v2 import manifest_scanner


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """A cache of public weights and compiled programs that is nobody's: empty at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMECRAFT_JAX_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_look_for_components():
    """Streamlit reads about every installed package before each run of a page: once is enough."""
    found = functools.cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: list(found()))
        yield


@pytest.fixture(scope="module", autouse=True)
def _short_collections():
    """Keep what earlier files left behind out of the garbage collector's sight.

    Streamlit collects garbage after every run of a page once Keras is imported, and looking through
    all that JAX and Keras keep alive takes longer than the page.
    """
    gc.collect()
    gc.freeze()
