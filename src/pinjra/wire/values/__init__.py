"""Python values <-> JSON and blobs, one family of types a file."""
