"""A task and an agent -> one run: its state, its loop, its limits, its result."""
