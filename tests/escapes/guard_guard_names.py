# Reach or replace the guards themselves: globals(), locals(), vars(), dir(), __builtins__, prepare mappings, frames, star names.
got = []
def attempt(f):
    try:
        got.append(str(f()))
    except BaseException as e:
        got.append(type(e).__name__)
attempt(lambda: globals()["__builtins__"])
attempt(lambda: globals().get("__builtins__"))
attempt(lambda: globals().__setitem__("$x", lambda o, n: o))
attempt(lambda: globals().update({"$p": lambda o, n: o}))
attempt(lambda: dict.__setitem__(globals(), "$p", lambda o, n: o))
attempt(lambda: dict.update(globals(), {"$p": lambda o, n: o}))
attempt(lambda: globals()._real)
attempt(lambda: object.__getattribute__(globals(), "_real"))
attempt(lambda: type(globals())._real.__get__(globals()))
attempt(lambda: type(globals()).__dict__["_real"])
attempt(lambda: globals().__reduce_ex__(2))
attempt(lambda: globals().copy())
attempt(lambda: [k for k in locals() if "$" in k])
attempt(lambda: [k for k in dir() if "$" in k])
class P(dict):
    def __missing__(self, key):
        return lambda *a: a[0]
    def __getitem__(self, key):
        if key.startswith("$"):
            return lambda *a: a[0]
        return dict.__getitem__(self, key)
class M(type):
    @classmethod
    def __prepare__(mcls, name, bases):
        return P()
try:
    class A(metaclass=M):
        leaked = tool._hidden
except Exception as e:
    got.append(type(e).__name__)
def f(**kw):
    return locals()
attempt(lambda: f(**{"$p": 1}))
setattr(f, "$x", 1) if False else None
attempt(lambda: setattr(f, "$p", 1))
attempt(lambda: getattr(f, "__builtins__"))
attempt(lambda: f.__init_subclass__)
print(got)
import json
print(tool._hidden if False else "done")
