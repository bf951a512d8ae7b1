# escape: the host's isinstance asks registries that a guest may add to
# imports: collections.abc, abc
import collections.abc, abc
for call in (lambda: collections.abc.Sized.register(int),
             lambda: abc.ABCMeta.register(collections.abc.Sized, int),
             lambda: getattr(collections.abc.Sized, "register")(int),
             lambda: [r for r in map(lambda c: c.register, [collections.abc.Sized])][0](int)):
    try:
        call()
    except Exception:
        pass
escaped = isinstance(3, collections.abc.Sized)
