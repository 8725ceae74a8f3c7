"""Everything that knows the browser, one sub-room for each page and one for what they share."""
