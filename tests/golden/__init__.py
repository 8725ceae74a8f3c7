"""What other libraries answer with weights that can be made again from a few numbers."""
