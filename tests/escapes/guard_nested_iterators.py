# Lazy C iterators of every kind on each other, a hundred thousand deep: reading or freeing them would overflow the C stack.
import csv, itertools
class Mine(map):
    _depth = 0
def nest(step, n=100_000):
    x = iter(["a", "b"])
    try:
        for _ in range(n):
            x = step(x)
        next(iter(x))
    except Exception as e:
        print(type(e).__name__)
for step in (
    lambda x: itertools.islice(x, 3), lambda x: itertools.accumulate(x), lambda x: itertools.pairwise(x),
    lambda x: itertools.groupby(x), lambda x: itertools.zip_longest(x), lambda x: itertools.compress(x, itertools.repeat(1)),
    lambda x: itertools.takewhile(bool, x), lambda x: itertools.dropwhile(bool, x), lambda x: itertools.filterfalse(None, x),
    lambda x: itertools.starmap(print, x), lambda x: itertools.tee(x)[0], lambda x: itertools.cycle(x),
    lambda x: itertools.chain(x), lambda x: itertools.chain.from_iterable([x]), lambda x: Mine(str, x),
    lambda x: map(str, itertools.islice(x, 3)), lambda x: zip(itertools.tee(x)[0]), lambda x: map(",".join, csv.reader(x)),
    lambda x: enumerate(itertools.chain(x, [1])), lambda x: itertools.islice(Mine(str, x), 3),
):
    nest(step)
