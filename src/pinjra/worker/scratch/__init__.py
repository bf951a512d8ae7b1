"""Requests for files -> the session's scratch folder."""
