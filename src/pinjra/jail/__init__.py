"""A policy and this kernel -> a confined process, or JailUnavailable. Standard library only; Python 3.10 and later."""
