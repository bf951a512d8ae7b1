# What a class pattern reads is changed between the guard's check and CPython's use of it.
got = []
def attempt(f):
    try:
        got.append(str(f())[:200])
    except BaseException as e:
        got.append(type(e).__name__ + ":" + str(e)[:50])
t = type
Bad = t("Bad", (), {"__match_args__": ("__globals__",)})
class Good:
    __match_args__ = ("x",)
def bases():
    class M(type):
        def __instancecheck__(cls, o):
            cls.__bases__ = (Bad,)
            return True
    class A(Good, metaclass=M): pass
    match tool:
        case A(g): return sorted(g)
def klass():
    class M2(type):
        __match_args__ = property(lambda cls: ("__globals__",))
    class M(type):
        def __instancecheck__(cls, o):
            cls.__class__ = M2
            return True
    class A(Good, metaclass=M): pass
    match tool:
        case A(g): return sorted(g)
def hook():
    class M(type):
        def __instancecheck__(cls, o):
            M.__getattribute__ = lambda c, n: ("__globals__",)
            return True
    class A(Good, metaclass=M): pass
    match tool:
        case A(g): return sorted(g)
def by_eq():
    class M(type): pass
    class A(Good, metaclass=M): pass
    class E:
        def __eq__(self, o):
            M.__instancecheck__ = lambda c, o: True
            M.__getattribute__ = lambda c, n: ("__globals__",)
            return True
    class V: v = 1
    match [E(), tool]:
        case [V.v, A(g)]: return sorted(g)
def dyn():
    class M(type):
        def __instancecheck__(cls, o):
            for n, v in (("__bases__", (Bad,)), ("__match_args__", ("__globals__",)), ("__getattr__", lambda c, n: ())):
                for target in (cls, M):
                    for f in (setattr, t.__setattr__, object.__setattr__, lambda a, b, c: super(M, cls).__setattr__(b, c)):
                        try: f(target, n, v)
                        except Exception as e: pass
            try: delattr(cls, "__match_args__")
            except Exception: pass
            return True
    class A(Good, metaclass=M): __match_args__ = ("y",)
    match tool:
        case A(g): return sorted(g)
def own_error():
    try:
        "{0.nothing}".format(tool)
    except AttributeError as e:
        return e.obj
def runtime_error():
    for f in (lambda: getattr(tool, "nothing"), lambda: globals().nothing, lambda: "".join(object()), lambda: vars(1)):
        try: f()
        except AttributeError as e: got.append(str(e.obj))
        except Exception as e: got.append(type(e).__name__)
for f in (bases, klass, hook, by_eq, dyn, own_error, runtime_error):
    attempt(f)
print(got)
