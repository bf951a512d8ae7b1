# escape: a pattern's class expression gives a harmless class to the guard and another one to the match
import json
from dataclasses import dataclass
got = []
class Meta(type):
    def __instancecheck__(cls, instance): return True
Bad = Meta("Bad", (), {"__match_args__": ("__globals__",)})
try:
    @dataclass
    class Private(metaclass=Meta):
        __kwdefaults__: object
except Exception:
    Private = Bad
class Shifty:
    def __init__(self, evil): self.evil, self.asked = evil, 0
    @property
    def cls(self):
        self.asked += 1
        return int if self.asked == 1 else self.evil
for evil in (Bad, Private):
    for skip in (0, 1):
        shifty = Shifty(evil)
        shifty.asked = skip
        try:
            match json.dumps:
                case shifty.cls(found): got.append(found)
        except Exception:
            pass
escaped = bool(got)
import abc, fractions
class Good:
    __match_args__ = ("x",)
class Late(Good, abc.ABC):
    _numerator: object
    @classmethod
    def __subclasshook__(cls, other): return True
class Changes:
    def __eq__(self, other):
        dataclass(Late)
        return True
class V: v = 1
try:
    match [Changes(), fractions.Fraction(1, 2)]:
        case [V.v, Late(found)]: got.append(found)
except Exception:
    pass
escaped = bool(got)
