# needs: 3.12
class Box[T]:
    def __init__(self, v: T) -> None: self.v = v
    def map[U](self, f) -> "Box[U]": return Box(f(self.v))
type Pair[A] = tuple[A, A]
def first[T: (int, str)](xs: list[T]) -> T: return xs[0]
class K:
    n = 3
    type M = int
    def f[T](self, x: T = n * 2) -> T: return x
print(Box(2).map(lambda v: v * 3).v, Pair.__value__, first([4]), K().f(), Box[int], K.M.__value__)
x = 3
print(f"{f"{x * 2:>{x + 2}}"}", f"{'\n'.join(["a", "b"])}")
Box[int](5).v
