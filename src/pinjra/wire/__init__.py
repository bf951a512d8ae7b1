"""Bytes <-> frames <-> messages <-> values. No I/O in this folder; standard library only; Python 3.10 and later."""
