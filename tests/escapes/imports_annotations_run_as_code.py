# escape: string annotations evaluated by the library, past the guard
# imports: typing, functools, dataclasses
import typing, functools
hits = []
def mark(found):
    hits.append(found)
    return int
TEXT = """[mark(1) for c in ().__class__.__base__.__subclasses__() if c.__init__.__globals__][0]"""
class A:
    x: "mark(__import__('os').getpid())"
class B:
    x: "mark(open('/etc/hostname').read())"
class C:
    x: "mark((lambda: 0).__globals__)"
class D:
    x: "mark(eval('1'))"
def f(a: "[mark(1) for c in ().__class__.__base__.__subclasses__()][0]"): ...
class E:
    x: TEXT
names = {"$x": getattr, "$p": lambda o, n: o, "__builtins__": {"mark": mark, "$x": lambda o, n: mark(2)}, "mark": mark}
class F:
    x: "mark(int._private) and mark((5).format)"
for call in (*(lambda c=c, n=n: typing.get_type_hints(c, n) for c in (A, B, C, D, E, F, f) for n in (None, names)),
             lambda: functools.singledispatch(lambda x: x).register(f),
             lambda: functools.singledispatchmethod(lambda s, x: x).register(f),
             lambda: functools.singledispatchmethod.__base__(lambda s, x: x).register(f),
             lambda: typing.ForwardRef("mark(1)")._evaluate({}, {}, frozenset()),
             lambda: typing.get_args(typing.List["mark(1)"])[0].evaluate()):
    try:
        call()
    except Exception:
        pass
escaped = hits
