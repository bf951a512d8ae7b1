"""Stand-ins for vendors that need an account."""
