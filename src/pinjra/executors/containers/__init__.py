"""A container runtime on this machine -> a stream to a worker in a container."""
