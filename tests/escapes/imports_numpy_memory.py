# escape: objects that hand a memory address to an array library
# imports: numpy, types, time
import numpy as np, types, time
spec = {"data": (id(3), False), "shape": (4,), "typestr": "<i8", "version": 3}
name = "__array_" + "interface__"
class A:
    def __getattr__(self, n):
        if n == name: return spec
        raise AttributeError(n)
class B: pass
b = B()
try: b.__dict__[name] = spec
except Exception: pass
class C:
    def __getattribute__(self, n):
        return spec if n == name else object.__getattribute__(self, n)
def f(): pass
try: f.__dict__[name] = spec
except Exception: pass
made = [A(), b, C(), f]
class M(type):
    def __getattr__(cls, n):
        if n == name: return spec
        raise AttributeError(n)
class D(metaclass=M): pass
made.append(D)
for make in (lambda: types.SimpleNamespace(**{name: spec}), lambda: type(time.get_clock_info("time"))(**{name: spec}),
             lambda: type("E", (), {name: spec}), lambda: type("E", (), {name: spec})(), lambda: types.SimpleNamespace.__base__(**{name: spec})):
    try: made.append(make())
    except Exception: pass
escaped = []
for one in made:
    try:
        got = np.asarray(one)
        if got.dtype.kind == "i": escaped.append(str(type(one)))
    except Exception:
        pass
for get in (lambda: np.lib.stride_tricks.as_strided, lambda: np.ctypeslib, lambda: np.arange(3).ctypes.data,
            lambda: np.random.default_rng().bit_generator.ctypes, lambda: np.random.PCG64().capsule,
            lambda: getattr(np.arange(3), name), lambda: np.zeros(3).resize(10**6, refcheck=False)):
    try:
        escaped.append(repr(get())[:50])
    except Exception:
        pass
