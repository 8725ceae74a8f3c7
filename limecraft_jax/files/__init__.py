"""Pictures, masks and archives from strangers: read within bounds, or refused in a sentence."""

__all__ = ["archive", "images", "masks"]
