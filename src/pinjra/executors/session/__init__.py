"""Code, over a stream to one worker -> `Execution`: the host's side of every executor."""
