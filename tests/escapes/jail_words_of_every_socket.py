# attack: jail/words-of-every-socket
# oracle: runaway
# imports: os
# tools:
# source: own
# note: every word of the protocol and of the notes, on every descriptor there is, until somebody believes one
import os

words = [
    b"k1;", b"k2;", b"m3;", b"p1;", b"~!", b"w", b"f/tmp", b"\n",
    b'["c",1,0,"Lost",{"cause":"exit","rolled_back":true}]\n',
    b'["c",1,0,"Hello",{"protocol":2}]\n',
    b'["g","Finished",{"run":1,"value":null,"is_final":true}]\n',
    b'["g","Finished",{"run":-1}]\n',
    b'["g","Done",{"request":1}]\n',
    b'["g","Output",{"stream":"stdin","text":"x"}]\n',
    b'["g","*",0,262144,1]\n' + bytes(1000),
]  # fmt: skip
for _ in range(200):
    for fd in range(3, 16):
        for word in words:
            try:
                os.set_blocking(fd, False)
                os.write(fd, word)
            except OSError:
                pass
