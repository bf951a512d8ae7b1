"""Places to run guest code: one contract, a file or a folder a backend."""
