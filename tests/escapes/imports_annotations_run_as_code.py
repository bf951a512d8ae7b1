# escape: string annotations evaluated as code by the library
# imports: typing, functools, dataclasses
import typing, functools
hits = []
def mark():
    hits.append(1)
    return int
class A:
    x: "mark()"
def f(a: "[mark() for _ in (1,)][0]"): ...
for call in (lambda: typing.get_type_hints(A), lambda: typing.get_type_hints(f),
             lambda: functools.singledispatch(lambda x: x).register(f),
             lambda: functools.singledispatchmethod(lambda s, x: x).register(f),
             lambda: functools.singledispatchmethod.__base__(lambda s, x: x).register(f),
             lambda: typing.ForwardRef("mark()")._evaluate({}, {}, frozenset()),
             lambda: typing.get_args(typing.List["mark()"])[0].evaluate()):
    try:
        call()
    except Exception:
        pass
escaped = hits
