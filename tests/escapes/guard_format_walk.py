# Attribute walks hidden in format fields: bound, unbound, through map, subclass, super, nested spec, getattr, format_map.
got = []
def attempt(f):
    try:
        got.append(str(f()))
    except Exception as e:
        got.append(type(e).__name__)
T = "{0.__globals__[os].environ[PINJRA_CANARY]}"
class S(str):
    def go(self, *a):
        return super().format(*a)
class Sly(str):
    def __getattribute__(self, name):
        return str.format if name == "format" else object.__getattribute__(self, name)
attempt(lambda: T.format(tool))
attempt(lambda: str.format(T, tool))
attempt(lambda: list(map(str.format, [T], [tool])))
attempt(lambda: S(T).go(tool))
attempt(lambda: S.format(S(T), tool))
attempt(lambda: Sly(T).format(T, tool))
attempt(lambda: "{:{0.__globals__[os].environ[PINJRA_CANARY]}}".format(tool))
attempt(lambda: getattr(T, "format")(tool))
attempt(lambda: getattr(str, "for" + "mat")(T, tool))
attempt(lambda: "{a.__globals__[os].environ[PINJRA_CANARY]}".format_map({"a": tool}))
attempt(lambda: str.__dict__["format"](T, tool))
attempt(lambda: vars(str)["format"](T, tool))
attempt(lambda: str.__getattribute__(T, "format")(tool))
attempt(lambda: object.__getattribute__(T, "format")(tool))
match T:
    case str() as t:
        attempt(lambda: t.format(tool))
import operator, string, functools
attempt(lambda: operator.methodcaller("format", tool)(T))
attempt(lambda: operator.attrgetter("format")(T)(tool))
attempt(lambda: string.Formatter().format(T, tool))
attempt(lambda: functools.partial(str.format, T)(tool))
attempt(lambda: f"{T}".format(tool))
attempt(lambda: type(T).format(T, tool))
attempt(lambda: T.__format__(""))
print(got)
