"""Requests -> confined sessions, forked from one warm process."""
