import dataclasses
@dataclasses.dataclass
class P:
    x: int
    y: int
class Q:
    __match_args__ = ("a",)
    def __init__(self, a): self.a = a
def m(v):
    match v:
        case 0 | 1: return "small"
        case -1.5: return "float"
        case "a" | "b" as s: return s
        case [1, [2, *rest], *_]: return ("nested", rest)
        case (x, y) if x == y: return "pair"
        case [*all_] if len(all_) > 3: return len(all_)
        case {"k": P(x=a, y=0), **kw}: return a, kw
        case P(0, b): return "p0", b
        case P(x, y): return x + y
        case Q(str(t)): return t
        case Q(P(1, z)): return z
        case int(n) | float(n): return n
        case None | True: return "const"
        case str(): return "str"
        case _: return "other"
for v in (0, 1, -1.5, "a", [1, [2, 3, 4], 5], (2, 2), [1, 2, 3, 4], {"k": P(7, 0), "z": 1}, P(0, 4), P(2, 3), Q("q"), Q(P(1, 8)), 9, 2.5,
          None, True, "zz", object):
    print(m(v))
match P(1, 2):
    case Undefined(x): pass
