# Steps in C that read a long range, or an endless source, through lazy iterators and functions under other names.
from collections import deque
import functools, itertools, operator
long = range(10**14)
f, m, z, e, i = filter, map, zip, enumerate, iter
def drop(source):
    take = deque
    take(source, maxlen=0)
for attempt in (lambda: next(f((1.5).__eq__, long)), lambda: drop(m(abs, long)), lambda: drop(z(long, long)),
                lambda: drop(e(long)), lambda: drop(i(long)), lambda: 1.5 in i(long), lambda: -1 in i(int, 1),
                lambda: next(itertools.filterfalse((1.5).__ne__, long)), lambda: operator.contains(i(long), 1.5),
                lambda: functools.partial(max, i(long))(), lambda: {1.5}.isdisjoint(i(long)),
                lambda: sorted([i(long)], key=max), lambda: functools.reduce(max, long)):
    try:
        attempt()
    except Exception:
        pass
