"""The page that explains a picture: the run, and its answer."""
