# Deep towers of C iterators overflow the C stack when they are consumed or freed.
import functools, itertools
def attempt(f):
    try:
        f()
    except (Exception, RecursionError):
        pass
def tower(wrap, n=60_000):
    it = iter([1])
    for _ in range(n):
        it = wrap(it)
    return list(it)
f, m, z = filter, map, zip
for wrap in (lambda i: filter(None, i), lambda i: f(None, i), lambda i: m(lambda v: v, i), lambda i: z(i), lambda i: enumerate(i),
             lambda i: functools.partial(filter, None)(i), lambda i: itertools.chain(i), lambda i: itertools.islice(i, 5),
             lambda i: itertools.chain.from_iterable([i]), lambda i: itertools.takewhile(bool, i),
             lambda i: itertools.starmap(max, i), lambda i: itertools.accumulate(i), lambda i: itertools.tee(i)[0]):
    attempt(lambda: tower(wrap))
attempt(lambda: functools.reduce(lambda a, _: filter(None, a), range(60_000), [1]))
