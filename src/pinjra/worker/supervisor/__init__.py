"""The process that owns the stream and never runs guest code."""
