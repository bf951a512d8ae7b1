# Slot wrappers and descriptors of builtin types, fetched in every way, read what attribute names may not.
got = []
def attempt(f):
    try:
        got.append(str(f()))
    except BaseException as e:
        got.append(type(e).__name__)
N = "__glo" + "bals__"
attempt(lambda: object.__getattribute__(tool, N)["os"].environ)
attempt(lambda: type(tool).__getattribute__(tool, N)["os"].environ)
attempt(lambda: object().__getattribute__.__call__(N))
attempt(lambda: type.__getattribute__(object, "__subclasses__")())
attempt(lambda: super(type(tool), tool).__getattribute__(N)["os"].environ)
attempt(lambda: vars(type(tool))[N].__get__(tool)["os"].environ)
attempt(lambda: type(tool).__dict__[N].__get__(tool)["os"].environ)
attempt(lambda: [getattr(tool, n) for n in dir(tool) if "glob" in n])
attempt(lambda: object.__getattribute__.__get__(tool)(N)["os"].environ)
attempt(lambda: object.__dict__["__getattribute__"](tool, N)["os"].environ)
attempt(lambda: type.__dict__["__subclasses__"](object))
attempt(lambda: object.__reduce_ex__(tool, 2))
attempt(lambda: lookup.__reduce__())
attempt(lambda: lookup.__self__._environ)
attempt(lambda: tool.__kwdefaults__)
attempt(lambda: print.__self__)
attempt(lambda: len.__self__.open("{{FOLDER}}/secret.txt").read())
attempt(lambda: "".join.__self__.__class__)
class Fake:
    __class__ = property(lambda s: type(tool))
attempt(lambda: getattr(Fake(), "_x", 1))
class Meta(type):
    def __getattribute__(cls, name):
        return object.__getattribute__
class C(metaclass=Meta):
    pass
attempt(lambda: C.anything(tool, N)["os"].environ)
class D:
    g = object.__getattribute__
attempt(lambda: D.g(tool, N)["os"].environ)
class E:
    __getattribute__ = object.__getattribute__
attempt(lambda: E.__getattribute__(tool, N)["os"].environ)
attempt(lambda: getattr(E(), "__dict__"))
print(got)
