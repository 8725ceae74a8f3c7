"""Our own small classifiers: the pictures they learn from, their training and their examples."""

__all__ = ["dermoscopy", "digits", "lesions", "textures"]
