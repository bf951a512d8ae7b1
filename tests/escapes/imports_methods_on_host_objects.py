# escape: methods that the library generated or wrote for the guest's classes, called on objects and classes of the host
# host: import json, uuid, calendar, fractions, textwrap, functools, random
# unchanged: json.dumps([1]), uuid.NAMESPACE_DNS.hex, calendar.day_name[0], vars(fractions.Fraction).keys(), vars(textwrap.dedent).copy(), dict(json.loads.__annotations__), json.loads.__kwdefaults__.copy(), json.JSONDecoder.decode
import abc, calendar, enum, fractions, functools, json, textwrap, types, uuid
from dataclasses import dataclass, make_dataclass
got = []
def attempt(f):
    try:
        return f()
    except Exception:
        pass
def dataclass_of(name, **options):
    return make_dataclass("D", [(name, object)], **options)
attempt(lambda: dataclass_of("__kwdefaults__").__init__(json.loads, {"cls": 1}))
attempt(lambda: dataclass_of("__kwdefaults__", frozen=True).__init__(json.loads, {"cls": 1}))
attempt(lambda: dataclass_of("__class__").__init__(uuid.NAMESPACE_DNS, int))
attempt(lambda: dataclass_of("marked").__init__(fractions.Fraction, 7))
attempt(lambda: dataclass_of("decode").__init__(json.JSONDecoder, 7))
attempt(lambda: vars(dataclass_of("marked"))["__init__"](fractions.Fraction, 7))
attempt(lambda: types.MethodType(dataclass_of("marked").__init__, fractions.Fraction)(7))
@dataclass
class Nosy:
    _numerator: object
attempt(lambda: got.append(Nosy.__repr__(fractions.Fraction(1, 2))))
attempt(lambda: types.SimpleNamespace.__init__(textwrap.dedent, _x=1))
attempt(lambda: got.append(types.SimpleNamespace.__repr__(textwrap.TextWrapper())))
attempt(lambda: types.SimpleNamespace.__eq__(textwrap.TextWrapper(), textwrap.TextWrapper()) is True and got.append(1))
attempt(lambda: uuid.UUID.__init__(uuid.NAMESPACE_DNS, int=0))
attempt(lambda: type(calendar.day_name).__init__(calendar.day_name, "evil"))
attempt(lambda: abc.abstractmethod(fractions.Fraction))
attempt(lambda: abc.abstractclassmethod(textwrap.dedent))
attempt(lambda: abc.abstractstaticmethod(textwrap.dedent))
def wrap():
    @functools.wraps(json.loads)
    def f(): pass
    f.__annotations__["z"] = 1
attempt(wrap)
kept = []
class Keep(type):
    def __new__(meta, name, bases, space, **options):
        kept.append(space)
        return super().__new__(meta, name, bases, {})
class Meta(enum.EnumMeta, Keep): pass
class E(enum.Enum, metaclass=enum.EnumMeta): pass
def members():
    class F(enum.Enum, metaclass=Meta):
        A = 1
attempt(members)
for space in kept:
    for value in list(space.values()):
        for holder in (value, type(value)):
            attempt(lambda: holder.__set_name__(fractions.Fraction, "from_decimal"))
            attempt(lambda: holder.__set_name__(value, fractions.Fraction, "from_decimal"))
def heir():
    for space in kept:
        member = space.get("A")
        class Heir(type(member)): pass
        Heir(1).__set_name__(fractions.Fraction, "from_decimal")
attempt(heir)
escaped = bool(got)
