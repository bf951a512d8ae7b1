"""A cluster -> a stream to a worker in a pod."""
