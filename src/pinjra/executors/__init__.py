"""Places to run guest code: one contract, one file a backend."""
