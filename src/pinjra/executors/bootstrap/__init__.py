"""This package's own files -> a worker that starts on a bare Python elsewhere."""
