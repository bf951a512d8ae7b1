# escape: the unbounded classes behind stand-ins, reached through the bases of those
# imports: decimal, collections, string, textwrap
import collections, decimal
N = "__ba" + "se__"
attempts = (
    lambda: decimal.Context.__base__(prec=10**9).prec, lambda: decimal.Context.__bases__[0](prec=10**9).prec,
    lambda: decimal.Context.__mro__[1](prec=10**9).prec, lambda: decimal.Context.mro()[1](prec=10**9).prec,
    lambda: type.mro(decimal.Context)[1](prec=10**9).prec, lambda: getattr(decimal.Context, N)(prec=10**9).prec,
    lambda: type("C", (decimal.Context,), {}).__mro__[2](prec=10**9).prec, lambda: decimal.getcontext().__class__.__base__(prec=10**9).prec,
)
escaped = False
for attempt in attempts:
    try:
        escaped = escaped or attempt() == 10**9
    except Exception:
        pass
