"""What runs inside the box: supervisor and interpreter. Standard library only; Python 3.10 and later."""
