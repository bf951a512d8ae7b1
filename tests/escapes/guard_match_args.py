# __match_args__ names attributes that source may not: by class body, metaclass property, mutation between check and use,
# a class made by calling a metaclass, dataclass fields, namedtuple fields, ABC registration of a host type.
import abc, dataclasses, collections, types
got = []
def attempt(f):
    try:
        got.append(str(f()))
    except BaseException as e:
        got.append(type(e).__name__ + str(e)[:60])
class Yes(type):
    def __instancecheck__(cls, obj):
        return True
def plain():
    class A(metaclass=Yes):
        __match_args__ = ("__globals__",)
    match tool:
        case A(g):
            return sorted(g)
def prop():
    class M(Yes):
        @property
        def __match_args__(cls):
            return ("__globals__",)
    class A(metaclass=M):
        pass
    match tool:
        case A(g):
            return sorted(g)
def later():
    class M(type):
        def __instancecheck__(cls, obj):
            cls.__class__
            setattr(cls, "__match_args__", ("__globals__",))
            return True
    class A(metaclass=M):
        __match_args__ = ("x",)
    match tool:
        case A(g):
            return sorted(g)
def called():
    A = Yes("A", (), {"__match_args__": ("__globals__",)})
    match tool:
        case A(g):
            return sorted(g)
def aliased():
    t = type
    A = t("A", (abc.ABC,), {"__match_args__": ("__globals__",)})
    A.register(type(tool))
    match tool:
        case A(g):
            return sorted(g)
def fields():
    @dataclasses.dataclass
    class A(metaclass=Yes):
        __annotations__ = {"__globals__": int}
    match tool:
        case A(g):
            return sorted(g)
def named():
    A = collections.namedtuple("A", ["gi_frame"])
    gen = (x for x in [1])
    class B(A, metaclass=Yes):
        pass
    match gen:
        case B(f):
            return getattr(f, "f_builtins")
def proxy():
    class A(metaclass=Yes):
        __match_args__ = ("x",)
    class Grab:
        def __ror__(self, other):
            other["__match_args__"] = ("__globals__",)
            return other
    try:
        A.__dict__ | Grab()
        vars(A) | Grab()
    except Exception:
        pass
    match tool:
        case A(g):
            return sorted(g)
def instance_dict():
    class A(metaclass=Yes):
        __match_args__ = ("x",)
    type.__setattr__(A, "__match_args__", ("__globals__",))
    match tool:
        case A(g):
            return sorted(g)
for f in (plain, prop, later, called, aliased, fields, named, proxy, instance_dict):
    attempt(f)
print(got)
