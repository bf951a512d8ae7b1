"""What runs in the box of an E2B sandbox: processes, files, contexts. It guards nothing, the box does."""
