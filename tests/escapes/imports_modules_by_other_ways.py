# escape: modules reached by other spellings of an import
# imports: os.path, importlib, collections
escaped = []
def attempt(call):
    try:
        got = call()
        if hasattr(got, "environ") or hasattr(got, "modules") or hasattr(got, "getcwd"):
            escaped.append(repr(got))
    except Exception:
        pass
import os.path
attempt(lambda: os)
import os.path as p
attempt(lambda: p.os)
attempt(lambda: p.genericpath.os)
import importlib
class S(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("math")
attempt(lambda: importlib.import_module("os"))
attempt(lambda: importlib.import_module(".path", "os"))
attempt(lambda: importlib.import_module(S("os")))
attempt(lambda: importlib.sys)
attempt(lambda: importlib.util)
attempt(lambda: importlib.machinery)
attempt(lambda: importlib.reload(p))
from importlib import *
attempt(lambda: import_module("sys"))
attempt(lambda: getattr(importlib, "_bootstrap"))
def star():
    try:
        import os.path.genericpath
        return os
    except ImportError:
        return None
attempt(star)
