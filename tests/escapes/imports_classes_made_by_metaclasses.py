# escape: classes that other names than `type` make, so that numpy reads memory at an address in their namespace
# imports: numpy
import abc, enum, functools, operator, types
import numpy as np
KEY = "__array_" + "interface__"
SPACE = {KEY: {"shape": (8,), "typestr": "|u1", "data": (id(object()), False), "version": 3}}
got = []
def look(cls):
    try:
        if np.array(cls()).dtype != object:
            got.append(cls)
    except Exception:
        pass
def attempt(make):
    try:
        made = make()
        look(made[0] if isinstance(made, list) else made)
    except Exception:
        pass
class Base:
    def __init_subclass__(cls):
        look(cls)
class Name:
    def __set_name__(self, owner, name):
        look(owner)
class Meta(type):
    def __new__(meta, name, bases, space):
        space.update(SPACE)
        made = super().__new__(meta, name, bases, space)
        look(made)
        return made
class Prepared(type):
    @classmethod
    def __prepare__(meta, name, bases):
        return dict(SPACE)
    def __init__(cls, *args):
        look(cls)
def statement(meta=type, base=Base):
    class K(base, metaclass=meta):
        n = Name()
    return K
def hooked():
    class K(Base):
        def __getattr__(self, name):
            return SPACE[KEY]
    return K
t = type
for make in (
    lambda: t("K", (), dict(SPACE)), lambda: t("K", (Base,), {**SPACE, "n": Name()}), lambda: t(*("K", (), dict(SPACE))),
    lambda: Meta("K", (), {}), lambda: statement(Meta), lambda: statement(Prepared), lambda: statement(), hooked,
    lambda: abc.ABCMeta("K", (), dict(SPACE)), lambda: abc.ABCMeta.__new__(abc.ABCMeta, "K", (), dict(SPACE)),
    lambda: type.__call__(type, "K", (), dict(SPACE)), lambda: type.__new__(type, "K", (), dict(SPACE)),
    lambda: functools.partial(type, "K")((), dict(SPACE)), lambda: types.MethodType(type, "K")((), dict(SPACE)),
    lambda: list(map(type, ["K"], [()], [dict(SPACE)])), lambda: operator.call(type, "K", (), dict(SPACE)),
    lambda: type("K", (Base,), dict(SPACE)), lambda: types.new_class("K", (Base,), {}, lambda s: s.update(SPACE)),
    lambda: enum.Enum("K", [("a", 1), (KEY, SPACE[KEY])]), lambda: (5).__class__.__class__("K", (), dict(SPACE)),
    lambda: t("K", (), {"__getattr__": lambda s, n: SPACE[KEY]}),
    lambda: t("K", (Base,), {"__getattribute__": lambda s, n: SPACE[KEY]}),
):
    attempt(make)
escaped = bool(got)
