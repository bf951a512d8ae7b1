"""Templates and tool descriptions -> the text of a prompt."""
