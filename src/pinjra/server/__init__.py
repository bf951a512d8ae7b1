"""Pinjra for other programs: MCP."""
