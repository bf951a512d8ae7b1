"""What runs inside the box: a supervisor that owns the stream and an interpreter below it. Never imported by the host."""
