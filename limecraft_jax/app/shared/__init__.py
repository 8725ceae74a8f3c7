"""What the pages share: the session, the caches, the look, choosing and drawing."""
