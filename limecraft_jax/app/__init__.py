"""The screen: everything that knows the browser."""
