"""A hosted vendor's SDK -> a stream to a worker in one of its machines."""
