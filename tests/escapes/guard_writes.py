# Change what the host shares: classes, functions, modules, builtins, by every kind of assignment target.
import json, math, collections, dataclasses, enum, functools
def attempt(f):
    try:
        f()
    except BaseException:
        pass
def a(): json.dumps = 1
def b():
    for json.dumps in [1]: pass
def c():
    with open2() as json.dumps: pass
def d(): setattr(json, "dumps", 1)
def e(): object.__setattr__(json, "dumps", 1)
def f(): type(json).__setattr__(json, "dumps", 1)
def g(): json.__dict__["dumps"] = 1
def h(): vars(json)["dumps"] = 1
def i(): del json.dumps
def j(): math.sqrt, x = 1, 2
def k(): [0 for math.sqrt in [1]]
def l(): json.JSONEncoder.default = 1; json.JSONEncoder.encode = lambda s, o: "forged"; json.JSONEncoder.iterencode = 1
def m(): type.__setattr__(json.JSONEncoder, "encode", lambda s, o: "forged")
def n(): type(lookup).x = 1
def o(): setattr(lookup, "__code__", 1); lookup.__func__.x = 1
def p(): functools.update_wrapper(json, tool)
def q(): functools.update_wrapper(json.JSONEncoder, tool, assigned=("__doc__",), updated=("__dict__",))
def r(): collections.Counter.update = 1
def s(): enum.Enum.__call__ = 1
def t(): super(type, json.JSONEncoder).__setattr__("encode", 1)
def u(): json.JSONEncoder.__init__.__defaults__ = (1,)
def v(): json.dumps.__kwdefaults__["cls"] = 1
def w(): json.dumps.__kwdefaults__.update(sort_keys="x")
def x(): json.JSONEncoder.__doc__ += "x"; json.JSONEncoder.item_separator = "forged"
def y(): int.__add__ = 1
def z():
    class open2:
        def __enter__(s): return 1
        def __exit__(s, *a): return True
    with open2() as json.JSONEncoder.encode: pass
class G(json.JSONEncoder):
    pass
def a2(): G.__bases__[0].encode = lambda s, o: "forged"
def a3(): G.__mro__[1].encode = lambda s, o: "forged"
def a4():
    for k in G.__mro__: k.encode = lambda s, o: "forged"
def a5(): super(G, G()).encode = 1
def a6(): super(G, G).__setattr__("encode", 1)
def a7(): json.JSONEncoder.encode.__get__(1).__func__.x = 1
def a8(): tool.__annotations__["x"] = 1; tool.__dict__["x"] = 1
len = str = sum = lambda *a: "forged"
for fn in (a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,a2,a3,a4,a5,a6,a7,a8):
    attempt(fn)
