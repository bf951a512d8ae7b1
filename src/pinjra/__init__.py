"""Pinjra runs the Python that AI agents write, without trusting it. These are the public names; importing has no effects."""
