"""Chat in, completion out: one vendor a file."""
