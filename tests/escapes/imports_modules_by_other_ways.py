# escape: modules reached by other spellings of an import, and through modules that were authorised
# imports: os.path, importlib, numpy.linalg
escaped = []
def attempt(call):
    try:
        got = call()
        if any(hasattr(got, name) for name in ("environ", "modules", "getcwd", "ndarray")):
            escaped.append(repr(got))
    except Exception:
        pass
import os.path
attempt(lambda: os)
attempt(lambda: os.getcwd())
import os.path as p
attempt(lambda: p.os)
attempt(lambda: p.genericpath.os)
import importlib
class S(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash("math")
attempt(lambda: importlib.import_module(S("os")))
attempt(lambda: importlib.sys)
attempt(lambda: importlib.util)
attempt(lambda: importlib.machinery)
attempt(lambda: importlib.reload(p))
attempt(lambda: importlib._bootstrap)
attempt(lambda: getattr(importlib, "_bootstrap"))
import asyncio, collections, json, queue, random, typing
for module in (asyncio, collections, json, queue, random, typing):
    for name in dir(module):
        attempt(lambda: getattr(module, name))
attempt(lambda: random._os)
attempt(lambda: queue.threading)
def statement(text):
    def run():
        space = {}
        exec(text, space)
        return space.get("found")
    return run
for text in ("import os as found", "from random import _os as found", "from queue import threading as found",
             "import os.path.genericpath\nfound = os", "from os import *\nfound = environ", "import numpy as found",
             "from asyncio import events\nfound = events.os", "import importlib\nfound = importlib.import_module('sys')"):
    attempt(statement(text))
    attempt(lambda: eval(compile(text, "<text>", "exec"), globals()) or found)
