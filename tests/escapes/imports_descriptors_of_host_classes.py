# escape: C descriptors and methods of host classes, found in class namespaces and by object.__getattribute__
# imports: os.path
import functools, json, os.path
got = []
def attempt(f):
    try:
        got.append(f())
    except Exception:
        pass
try:
    1 / 0
except ZeroDivisionError as error:
    trace = error.__traceback__
call = lambda get, obj: functools.reduce(get, [obj, None])  # the hook looks at frames of guest code only
attempt(lambda: call(type(trace).__dict__["tb_frame"].__get__, trace))
attempt(lambda: call(vars(type(trace))["tb_frame"].__get__, trace))
attempt(lambda: call(type((x for x in [])).__dict__["gi_frame"].__get__, (x for x in [])))
attempt(lambda: vars(str)["format"]("{0.__globals__}", json.dumps))
attempt(lambda: object.__getattribute__("{0.__globals__}", "format")(json.dumps))
attempt(lambda: str.__getattribute__("{0.__globals__}", "format")(json.dumps))
attempt(lambda: super(str, "{0.__globals__}").__getattribute__("format")(json.dumps))
class Text(str):
    def peek(self): return super().__getattribute__("format")(json.dumps)
attempt(lambda: object.__getattribute__(Text("{0.__globals__}"), "format")(json.dumps))
attempt(lambda: Text("{0.__globals__}").peek())
attempt(lambda: Text("{0.__globals__}").__getattribute__("format")(json.dumps))
attempt(lambda: AttributeError.obj.__get__)
class Mine(AttributeError): pass
attempt(lambda: Mine.obj.__get__)
attempt(lambda: super(Mine, Mine).obj.__get__)
attempt(lambda: vars(AttributeError)["obj"])
attempt(lambda: type(json.dumps).__defaults__.__get__)
escaped = bool(got)
