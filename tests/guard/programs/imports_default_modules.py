import math, itertools, collections, functools, operator, json, re, random, dataclasses, typing, enum, decimal, copy, string, textwrap, heapq, statistics, struct, io, csv, time, queue, asyncio, datetime, calendar, types, abc, contextlib, uuid, hashlib, base64, zoneinfo, html, fractions, bisect
import collections.abc
from collections import Counter, deque, OrderedDict, defaultdict, namedtuple
print(math.factorial(20), math.comb(10,3), math.perm(5), math.prod([1,2,3.5]), math.lcm(4,6), math.fsum([.1]*10))
print(list(itertools.islice(itertools.count(3,2),4)), list(itertools.product("ab",repeat=2)), list(itertools.chain([1],[2])), list(itertools.chain.from_iterable([[1],[2]])))
print([ (k,list(g)) for k,g in itertools.groupby("aabb")], list(itertools.accumulate([1,2,3],operator.mul)), list(itertools.zip_longest("ab","c",fillvalue="-")))
c=Counter("hello"); print(c, c.most_common(1), c+Counter("l"), type(c+c) is Counter, sorted(c.elements()))
d=deque([1,2,3],maxlen=2); d.append(5); print(d, d+d, d*2)
P=namedtuple("P","x y"); p=P(1,2); print(p, p._replace(x=3), p._asdict(), P._fields)
@dataclasses.dataclass(order=True, frozen=True)
class D:
    a:int
    b:str="x"
    c:list=dataclasses.field(default_factory=list, compare=False)
print(D(1), D(1)<D(2), dataclasses.asdict(D(1,"z",[D(2)])), dataclasses.replace(D(1),a=5), dataclasses.astuple(D(1)), [f.name for f in dataclasses.fields(D)])
@dataclasses.dataclass(slots=True)
class S:
    q:"int"=1
    cv: typing.ClassVar[int]=2
print(S(), S.__module__, dataclasses.make_dataclass("M",[("x",int),"y",("z",int,3)])(1,2))
class Color(enum.Enum):
    RED=1; BLUE=enum.auto()
print(Color.RED, list(Color), Color(1), Color["BLUE"], enum.Enum("X","a b").a)
with decimal.localcontext() as ctx:
    ctx.prec=5
    print(decimal.Decimal(1)/3)
decimal.getcontext().prec=10; print(decimal.Decimal(1)/3, decimal.getcontext())
print(copy.deepcopy([D(1),{"a":Color.RED,"s":{1,2}}, c, d, p]), copy.copy(p))
class Node:
    def __init__(s): s.me=s; s.l=[1]
n=Node(); m=copy.deepcopy(n); print(m.me is m, m.l==n.l, m.l is n.l, copy.copy(n).l is n.l)
@functools.lru_cache(maxsize=None)
def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
print(fib(50), fib.cache_info())
def deco(f):
    @functools.wraps(f)
    def w(*a): return f(*a)
    return w
@deco
def doc(): "hi"
print(doc.__name__, doc.__doc__)
class CP:
    @functools.cached_property
    def v(self): print("once"); return 3
q=CP(); print(q.v,q.v, functools.partial(int,base=2)("101"), functools.reduce(operator.add,[1,2,3]))
@functools.singledispatch
def f(x): return "any"
@f.register
def _(x:int): return "int"
@f.register(list)
def _(x): return "list"
print(f(1),f("a"),f([]))
@functools.total_ordering
class T:
    def __init__(s,v): s.v=v
    def __eq__(s,o): return s.v==o.v
    def __lt__(s,o): return s.v<o.v
print(T(1)>=T(0))
print(json.dumps({"a":[1,None]},indent=2), json.loads('{"a":1.5}'))
try: json.loads("{")
except json.JSONDecodeError as e: print(e)
class E(json.JSONEncoder):
    def default(s,o): return str(o)
print(json.dumps({1:D(1)},cls=E))
print(re.findall(r"\d+","a1b22"), re.sub(r"(\w)",r"<\1>","ab"), re.compile("x",re.I).match("X"))
random.seed(1); print(random.random(), random.randint(1,9), random.choice("abc"), random.sample(range(100),3))
print(string.Formatter().format("{0:>5}{a[b]}|{c!r}","x",a={"b":1},c="y"), string.Template("$a").substitute(a=1))
print(textwrap.fill("a b c d",3), heapq.nlargest(2,[1,5,3]), statistics.mean([1,2,3]), statistics.stdev([1,2,4]), struct.pack("<IH",1,2))
s=io.StringIO(); w=csv.writer(s); w.writerow([1,"a,b"]); print(s.getvalue(), list(csv.DictReader(io.StringIO("a,b\n1,2"))))
qq=queue.PriorityQueue(); qq.put((2,"b")); qq.put((1,"a")); print(qq.get(), qq.qsize(), qq.empty())
async def co(x):
    await asyncio.sleep(0.001); return x*2
async def main(): return await asyncio.gather(*(co(i) for i in range(3)))
print(asyncio.run(main()))
print(datetime.date(2020,1,1)+datetime.timedelta(days=3), datetime.datetime(2020,1,2).strftime("%Y"), calendar.month(2024,2), calendar.isleap(2024))
print(types.SimpleNamespace(a=1), isinstance(doc,types.FunctionType), types.MappingProxyType({"a":1}))
class Ab(abc.ABC):
    @abc.abstractmethod
    def x(self): ...
try: Ab()
except TypeError as e: print(e)
@contextlib.contextmanager
def cm():
    print("in"); yield 1; print("out")
with cm() as z, contextlib.suppress(KeyError): {}[1]
print(len(str(uuid.uuid4())), hashlib.sha256(b"a").hexdigest()[:8], base64.b64encode(b"a"), html.escape("<"), fractions.Fraction(1,3)+1, bisect.bisect([1,2],1))
print(datetime.datetime(2024,7,1,tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset())
class TD(typing.TypedDict): a:int
class NT(typing.NamedTuple):
    a:int
    b:str="q"
print(TD(a=1), NT(1), typing.get_type_hints(NT), typing.get_type_hints(TD))
def hint(x:"list[int]", y:"D|None"=None)->"int": ...
print(typing.get_type_hints(hint))
print(operator.attrgetter("a")(D(4)), operator.methodcaller("upper")("a"), operator.itemgetter(1)([1,2]), operator.mul(3,"a"))
l=[1]; l2=operator.imul(l,2); print(l is l2,l); l2=operator.iconcat(l,[3]); print(l)
t=time.time(); time.sleep(0.01); print(time.time()-t>=0.01)
