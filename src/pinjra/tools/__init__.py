"""Functions for agents, with a schema."""
