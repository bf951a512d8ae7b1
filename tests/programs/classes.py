import abc, dataclasses, enum, functools
class Meta(type):
    def __new__(m, name, bases, ns, **kw):
        cls = super().__new__(m, name, bases, ns)
        cls.tag = kw.get("tag", name.lower())
        return cls
    def __call__(cls, *a, **k):
        print("making", cls.__name__)
        return super().__call__(*a, **k)
    def __getitem__(cls, item): return f"{cls.__name__}[{item}]"
class A(metaclass=Meta, tag="first"):
    count = 0
    __slots__ = ("x", "_y", "__dict__")
    def __init__(self, x):
        self.x = x; self._y = x * 2; self.__z = 3; A.count += 1
    def z(self): return self.__z
    @property
    def y(self): return self._y
    @y.setter
    def y(self, v): self._y = v
    @y.deleter
    def y(self): del self._y
    @classmethod
    def make(cls, x): return cls(x)
    @staticmethod
    def twice(x): return x * 2
    def __init_subclass__(cls, **kw): super().__init_subclass__(); print("sub", cls.__name__, kw)
class C(A):
    def __init__(self, x):
        super().__init__(x + 1)
        super(C, self).__setattr__("w", 9)
    def z(self): return super().z() + 1
    def __getattr__(self, name):
        if name.startswith("dyn_"): return name[4:]
        raise AttributeError(name)
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
    def __eq__(self, o): return isinstance(o, C) and self.x == o.x
    def __hash__(self): return hash(self.x)
a, c = A(1), C.make(4)
a.y = 7
print(a.x, a.y, a.z(), c.x, c.y, c.z(), c.w, c.dyn_q, A.count, A.tag, C.tag, A["k"], A.twice(4), hasattr(c, "nope"))
del a.y
print(hasattr(a, "y"), c == C(4), len({c, C(4)}), C.__mro__, C.__bases__, type(c) is C, a.__class__.__name__)
@dataclasses.dataclass(order=True, frozen=True)
class P:
    x: int
    y: int = 2
    tags: list = dataclasses.field(default_factory=list, compare=False)
p = P(1)
print(p, p < P(2), dataclasses.replace(p, x=5), dataclasses.asdict(p))
try:
    p.x = 3
except dataclasses.FrozenInstanceError as e:
    print("frozen", e)
class Color(enum.Enum):
    RED = 1
    GREEN = enum.auto()
    @property
    def nice(self): return self.name.title()
class Perm(enum.Flag):
    R = 1
    W = 2
print(Color.RED, Color(2).nice, [m.value for m in Color], Perm.R | Perm.W, Color["GREEN"] is Color.GREEN)
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
try:
    Shape()
except TypeError as e:
    print(type(e).__name__)
class D:
    def __set_name__(self, owner, name): self.name = "_" + name
    def __get__(self, obj, kind=None): return self if obj is None else getattr(obj, self.name, "unset")
    def __set__(self, obj, v): setattr(obj, self.name, v)
class H:
    v = D()
h = H()
print(h.v); h.v = 3; print(h.v, h.__dict__, vars(h))
class L(list):
    def __mul__(self, n): return L(super().__mul__(n))
    def __getitem__(self, i): return super().__getitem__(i)
print(L([1, 2]) * 2, L([5])[0], type(L([1]) * 1).__name__)
def make():
    n = 0
    class Inner:
        k = n
        vals = [i * 2 for i in range(3)]
        def bump(self):
            nonlocal n
            n += 1
            return n
    return Inner()
i = make()
print(i.bump(), i.bump(), i.k, i.vals)
T = type("T", (A,), {"hello": lambda self: "hi"})
print(T(1).hello(), T.__name__)
@functools.total_ordering
class V:
    def __init__(self, v): self.v = v
    def __eq__(self, o): return self.v == o.v
    def __lt__(self, o): return self.v < o.v
    def __repr__(self): return f"V({self.v!r})"
    def __format__(self, spec): return f"<{spec}>"
    def __matmul__(self, o): return V((self.v, o.v))
    def __imul__(self, o): self.v *= o; return self
    def __rpow__(self, o): return o, "pow"
    def __mod__(self, o): return "mod", o
    def __lshift__(self, o): return "shift", o
v = V(3)
w = v
v *= 4
print(sorted([V(2), V(1)]), V(1) <= V(2), f"{v:abc}", v @ w, v is w, 2 ** v, v % "x", v << 1000000000000)
