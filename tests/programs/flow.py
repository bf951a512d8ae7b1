import contextlib, itertools
def log(*a): print(*a)
n = 0
while n < 5:
    n += 1
    if n == 2: continue
    if n == 4: break
else:
    log("no")
while n < 6:
    n += 1
else:
    log("else", n)
for i in range(3):
    for j in "ab":
        if j == "b": break
    else:
        log("never")
    log(i, j)
else:
    log("done")
items = [1, 2, 3]
for x in items:
    if x < 3: items.append(x + 10)
    if len(items) > 8: break
log(items)
d = {"a": 1}
try:
    for k in d: d[k + "x"] = 1
except RuntimeError as e:
    log(e)
def f(a, /, b, *args, c=3, **kw):
    return a, b, args, c, kw
log(f(1, 2, 3, c=4, e=5), f(*[1, 2], **{"c": 9}))
def t(x):
    try:
        if x == 0: return "ret"
        if x == 1: raise ValueError("v")
        if x == 2: raise KeyError("k")
        return "end"
    except ValueError as e:
        return f"caught {e}"
    except (KeyError, IndexError):
        raise RuntimeError("again") from None
    else:
        log("else")
    finally:
        log("finally", x)
for x in range(4):
    try: log(t(x))
    except RuntimeError as e: log(repr(e), e.__cause__, e.__suppress_context__)
@contextlib.contextmanager
def cm(name):
    log("in", name)
    try: yield name
    except ZeroDivisionError: log("swallowed")
    finally: log("out", name)
with cm("a") as a, cm("b") as b:
    log(a, b); 1 / 0
class E:
    def __enter__(self): return self
    def __exit__(self, kind, value, tb): log(kind.__name__ if kind else None, tb is not None); return True
with E(): raise ValueError
def gen():
    got = yield 1
    log("got", got)
    try:
        yield 2
    except ValueError as e:
        log("thrown", e)
    yield from [3, 4]
    return 5
def outer():
    r = yield from gen()
    log("returned", r)
g = outer()
log(next(g), g.send("s"), g.throw(ValueError("x")), list(g))
log([*range(3), *"ab"], {**{"a": 1}, "b": 2}, {*[1, 1]}, (*(), 1))
a, *b, c = range(5); (d, [e, *f2]) = 1, "xyz"
log(a, b, c, d, e, f2)
log([x * y for x in range(3) if x for y in (1, 2)], {k: v for k, v in zip("ab", [1, 2])}, {i % 2 for i in range(5)})
log((y := 5) + y, [z := 3, z * 2], any((hit := v) > 2 for v in [1, 3, 5]), hit)
log(sum(i for i in itertools.takewhile(lambda v: v < 4, itertools.count())), list(zip(range(2), itertools.count(5))))
def deco(arg):
    def wrap(fn):
        def inner(*a): return (arg, fn(*a))
        return inner
    return wrap
@deco("x")
@deco("y")
def g2(v): return v
log(g2(1), (lambda q, *r, s=2: (q, r, s))(1, 2))
def fac(n): return 1 if n < 2 else n * fac(n - 1)
log(fac(30), 2 ** 100, -7 % 3, 7 << 5, "%-5s|%05.1f" % ("a", 2.5), "ab" * 3, [0] * 3, 2.5 * 4, 10 % 2.5)
s = [1]; t2 = s; s *= 2; log(s is t2, t2)
q = {"k": [1]}; q["k"] *= 3; q["k"] += [9]; log(q)
class O: v = 2
o = O(); o.v *= 5; o.v **= 2; o.v <<= 1; o.v %= 7; log(o.v)
log(f"{3.14159:{8}.{3}}|{'x':>{4}}|{o.v!r:^5}|{{}}", "{:>{}}|{a[0]}|{b.real}".format("z", 3, a=[1], b=4))
log("a-b".join(["1", "2"]), "x".center(5, "*"), "7".zfill(3), "aXa".replace("a", "b"), ",".join(str(i) for i in range(3)))
del q["k"], s[0]
assert s == [1], "no"
global_x = 1
def setg():
    global global_x
    global_x += 1
    del_me = 1
    del del_me
    return sorted(locals())
log(setg(), global_x, "global_x" in globals(), __name__)
print(*[1, 2], sep="-", end="!\n")
async def co(v):
    return v
async def agen():
    for i in range(3): yield i
async def main():
    async with contextlib.AsyncExitStack(): pass
    return [await co(1), [x async for x in agen()], [x async for x in agen() if x]]
import asyncio
log(asyncio.run(main()))
undefined_name
