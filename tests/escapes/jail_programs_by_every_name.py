# attack: jail/programs-by-every-name
# oracle: spawn
# imports: os, subprocess, ctypes
# tools:
# source: own
# note: a program started by each call that starts one
from pinjra.jail.walls.libc import syscall, buffer

import os, subprocess, sys
open("x", "w").write("#!/bin/sh\ntouch {{PWN_FILE}}\n")
args = ["sh", "-c", "touch {{PWN_FILE}}"]
for how in (lambda: os.execv("/bin/sh", args), lambda: os.posix_spawn("/bin/sh", args, {}), lambda: subprocess.run(args),
            lambda: os.system("touch {{PWN_FILE}}"), lambda: os.execve(os.open("/bin/sh", os.O_PATH), args, {}),
            lambda: syscall("execveat", -100, b"/bin/sh", None, None, 0), lambda: os.execv("x", ["x"]),
            lambda: os.execv("/lib64/ld-linux-x86-64.so.2", ["ld", "/bin/touch", "{{PWN_FILE}}"]),
            lambda: os.execv(sys.executable, [sys.executable, "-c", "open('{{PWN_FILE}}', 'w')"])):
    pid = os.fork()
    if pid == 0:
        try:
            how()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
