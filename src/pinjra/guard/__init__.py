"""Guest source -> guarded code -> a run under the policy. Standard library only; Python 3.10 and later."""
