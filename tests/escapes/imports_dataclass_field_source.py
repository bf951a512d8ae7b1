# escape: field names are written into the source of __init__; an annotation key that is no identifier is code
# imports: dataclasses
import dataclasses
got = []
def grab(x):
    got.append(x)
class X:
    a: int = 1
try:
    X.__annotations__["b: int = __import__('os')): grab(b)\n def __init__(self"] = int
except Exception:
    pass
try:
    dataclasses.dataclass(X)()
except Exception:
    pass
class Meta(type):
    pass
try:
    Y = type("Y", (), {"__annotations__": {"a=__import__('os') , b": int}})
    got.append(dataclasses.dataclass(Y)().a)
except Exception:
    pass
class Liar(str):
    def isidentifier(self):
        return True
try:
    got.append(dataclasses.make_dataclass("Z", [(Liar("a=__import__('os')\n ,b"), int)])().a)
except Exception:
    pass
escaped = [g for g in got if hasattr(g, "getcwd")]
