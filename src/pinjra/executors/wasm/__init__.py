"""A WebAssembly runtime -> a stream to a worker inside it."""
