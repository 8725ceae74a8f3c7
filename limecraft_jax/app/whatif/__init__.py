"""The page that edits a picture: the edits, their effects, the comparison."""
