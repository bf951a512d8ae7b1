"""Runs of agents that a service holds: in goes a task, out come a log of events on disk and ways to steer."""
