# Work and memory in one C call, by operators, methods by name, augmented targets, formats, subclasses.
import operator, math
class I(int): pass
class L(list):
    def go(self, n): return super().__mul__(n)
class O: pass
o = O()
def attempt(f):
    try:
        f()
    except (MemoryError, Exception):
        pass
n = 10**9
x = "ab"
def aug():
    o.a = [0]; o.a *= n
def aug2():
    d = {"k": "x"}; d["k"] *= n
def aug3():
    s = "x"; s *= n
def aug4():
    y = 3; y **= n
def aug5():
    y = 1; y <<= 10**11
def aug6():
    f = "%2000000000d"; f %= 1
for f in (lambda: x * n, lambda: n * x, lambda: [0] * n, lambda: x * I(n), lambda: L([1]).go(n), lambda: L([1]) * n,
          lambda: x.__mul__(n), lambda: getattr(x, "__mul__")(n), lambda: str.__mul__(x, n), lambda: operator.mul(x, n),
          lambda: 7 ** n, lambda: I(7) ** n, lambda: pow(7, n), lambda: (7).__pow__(n), lambda: operator.pow(7, n),
          lambda: 1 << 10**11, lambda: operator.lshift(1, 10**11), lambda: (1).__lshift__(10**11),
          lambda: "%2000000000d" % 1, lambda: "%*d" % (2 * 10**9, 1), lambda: b"%2000000000d" % 1,
          lambda: f"{1:2000000000d}", lambda: f"{1:{2 * 10**9}d}", lambda: "{:2000000000d}".format(1),
          lambda: "{:{}d}".format(1, 2 * 10**9), lambda: format(1, "2000000000d"), lambda: (1).__format__("2000000000d"),
          lambda: x.ljust(2 * 10**9), lambda: str.center(x, 2 * 10**9), lambda: x.zfill(2 * 10**9),
          lambda: ("\t" * 1000).expandtabs(10**7), lambda: ("a" * 10**5).replace("a", "b" * 10**5),
          lambda: ",".join(["x" * 10**6] * 2000), lambda: ("y" * 10**6).join("z" * 2000), lambda: bytes(2 * 10**9),
          lambda: bytearray(2 * 10**9), lambda: (1).to_bytes(2 * 10**9, "big"), 
          lambda: list(range(10**12)), 
          lambda: math.factorial(10**7), aug, aug2, aug3, aug4, aug5, aug6):
    attempt(f)

# the last one ends the run
t, s = list, sum
attempt(lambda: t(range(10**13)))
s(range(10**14))
