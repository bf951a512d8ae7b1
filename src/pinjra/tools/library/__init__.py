"""Tools that are shipped, one a file."""
