"""Words that every layer shares. Imports nothing of ours; standard library only; runs on Python 3.10 and later."""
