"""Model text in, actions out, until an answer."""
