# Dunder methods of the guest are called by host code with host objects: tracebacks, frames, modules, classes.
got = []
def attempt(f):
    try:
        got.append(str(f()))
    except BaseException as e:
        got.append(type(e).__name__)
class Trap:
    def __enter__(self): return self
    def __exit__(self, kind, value, tb):
        for name in ("tb_frame", "tb_next", "tb_lasti"):
            for how in (getattr, lambda o, n: object.__getattribute__(o, n), lambda o, n: ("{0.%s.%s}" % (n, "f_globals")).format(o)):
                try:
                    v = how(tb, name)
                    got.append(str(v))
                    got.append(str(getattr(v, "f_globals")))
                except Exception as e:
                    got.append(type(e).__name__)
        return True
with Trap():
    fail()
try:
    fail()
except Exception as e:
    attempt(lambda: e.__traceback__.__dir__())
    attempt(lambda: getattr(getattr(e.__traceback__, "tb_frame"), "f_globals"))
    attempt(lambda: e.__reduce__())
    attempt(lambda: e.with_traceback(None).__traceback__)
try:
    "".nothing
except AttributeError as e:
    attempt(lambda: e.obj)
import json
try:
    json.nothing
except AttributeError as e:
    attempt(lambda: e.obj.codecs.open("{{FOLDER}}/secret.txt").read())
    attempt(lambda: vars(e))
class Sub:
    def __init_subclass__(cls, **kw): got.append(str(sorted(kw)))
    def __class_getitem__(cls, item): return item
    def __set_name__(self, owner, name): got.append(name)
attempt(lambda: Sub[tool])
class Key:
    def __eq__(self, other): got.append(str(type(other))); return True
    def __hash__(self): return hash("PINJRA_CANARY")
    def __call__(self, *a): got.append(str(a)); return a
attempt(lambda: lookup(Key()))
attempt(lambda: sorted([tool, lookup], key=lambda t: getattr(t, "__globals__", 1) and 1))
g = (1 for _ in [1])
attempt(lambda: getattr(getattr(g, "gi_frame"), "f_back"))
async def co(): pass
c = co()
attempt(lambda: getattr(getattr(c, "cr_frame"), "f_builtins"))
c.close()
print(got)
