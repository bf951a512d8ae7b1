# Make the interpreter itself fall over.
import re
def attempt(f):
    try:
        f()
    except (Exception, RecursionError, MemoryError):
        pass
class G(ExceptionGroup):
    pass
def eg():
    G.split = lambda s, k: 7
    try:
        raise G("g", [ValueError(1)])
    except* ValueError:
        pass
def eg2():
    e = G("g", [ValueError(1)])
    e.__dict__["split"] = lambda k: 7
    e.split = lambda k: 7
    try:
        raise e
    except* ValueError:
        pass
def deep():
    def r(): r()
    r()
def deep_repr():
    x = []
    for _ in range(100_000): x = [x]
    repr(x)
def deep_eq():
    x, y = [], []
    for _ in range(100_000): x, y = [x], [y]
    x == y
class R:
    def __repr__(self): return repr(self)
    def __getattr__(self, name): return getattr(self, name + "x")
    def __eq__(self, other): return self == other
    def __hash__(self): return hash(self)
def cls():
    c = object
    for i in range(600): c = type("C", (c,), {})
for f in (eg, eg2, deep, deep_repr, deep_eq, lambda: repr(R()), lambda: R().y, lambda: R() == 1, lambda: hash(R()), cls):
    attempt(f)
