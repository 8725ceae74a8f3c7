"""THE PATH: segment -> sample -> replace -> query -> kernel -> surrogate; lime composes the steps.

`choices` are its words: every setting as plain data and back.
"""

__all__ = [
    "choices",
    "kernel",
    "lime",
    "perturb",
    "replace",
    "sample",
    "segment",
    "segmenters",
    "settings",
    "superpixels",
    "surrogate",
]
