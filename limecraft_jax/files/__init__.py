"""Pictures, masks and archives from strangers, read within bounds; results written whole."""

__all__ = ["archive", "images", "masks", "reading", "results"]
