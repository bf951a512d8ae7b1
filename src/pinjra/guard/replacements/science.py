"""Stand-ins for numpy, pandas and PIL in the host's process: own generators, priced sizes, no pickles, no text as code."""

from __future__ import annotations

import importlib
import math
import operator
import re
import types
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.modules import words
from pinjra.guard.replacements import named

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "METHODS", "check_expression"]

_ATTRIBUTE = re.compile(r"\.\s*([^\W\d]\w*)")


def _items(shape: object) -> int:
    """Return how many items a shape has; 0 for what is no shape (numpy says so itself)."""
    if type(shape) in (list, tuple):
        return math.prod(max(_items(size), 0) for size in cast("list[object]", shape))
    try:
        return max(operator.index(cast(int, shape)), 0)
    except TypeError:
        return 0


def _numpy(session: Session) -> StandIns:
    if not session.in_process:
        return {}
    numpy = importlib.import_module("numpy")
    price = session.services.price_bytes

    def item_bytes(dtype: object) -> int:
        try:
            return int(numpy.dtype(dtype).itemsize) or 8
        except TypeError:
            return 8

    def shaped(name: str, dtype_at: int) -> Callable[..., object]:
        real = cast(Callable[..., object], getattr(numpy, name))

        def make(*args: object, **options: object) -> object:
            shape = args[0] if args else options.get("shape", 0)
            dtype = args[dtype_at] if len(args) > dtype_at else options.get("dtype")
            price(_items(shape) * item_bytes(dtype))
            return real(*args, **options)

        return named(make, real)

    def square(name: str) -> Callable[..., object]:
        real = cast(Callable[..., object], getattr(numpy, name))

        def make(n: object, *args: object, **options: object) -> object:
            columns = args[0] if args and name in ("eye", "tri") else options.get("M")
            price(8 * _items(n) * _items(n if columns is None else columns))
            return real(n, *args, **options)

        return named(make, real)

    def arange(*args: object, **options: object) -> object:
        ends = [float(cast(float, a)) for a in (*args[:3], *(options[k] for k in ("start", "stop", "step") if k in options))
                if type(a) in (int, float)]  # fmt: skip
        if ends:
            start, stop = (0.0, ends[0]) if len(ends) == 1 else (ends[0], ends[1])
            step = ends[2] if len(ends) > 2 and ends[2] else 1.0
            count = (stop - start) / step
            price(8 * int(min(max(count, 0), 1e18)) if count == count else 0)
        return numpy.arange(*args, **options)

    def spaced(name: str) -> Callable[..., object]:
        real = cast(Callable[..., object], getattr(numpy, name))

        def make(start: object, stop: object, num: object = 50, *args: object, **options: object) -> object:
            price(8 * _items(num))
            return real(start, stop, num, *args, **options)

        return named(make, real)

    def tile(A: object, reps: object) -> object:  # noqa: N803 (its documented name)
        price(int(numpy.asarray(A).nbytes) * _items(reps))
        return numpy.tile(A, reps)

    def repeat(a: object, repeats: object, axis: object = None) -> object:
        times = _items(repeats) if type(repeats) not in (list, tuple) else 1
        price(int(numpy.asarray(a).nbytes) * times)
        return numpy.repeat(a, repeats, axis)

    def load(file: object, mmap_mode: object = None, allow_pickle: bool = False, **options: object) -> object:
        if allow_pickle is not False or mmap_mode is not None:
            raise RefusedOperation("numpy.load: allow_pickle and mmap_mode are refused", "load plain arrays")
        return numpy.load(file, allow_pickle=False, **options)

    made: StandIns = {
        name: shaped(name, 2 if name == "full" else 1)
        for name in ("empty", "full", "ones", "zeros", "indices")
    }
    made |= {name: square(name) for name in ("eye", "identity", "tri")}
    made |= {name: spaced(name) for name in ("geomspace", "linspace", "logspace")}
    functions = (arange, tile, repeat, load)
    return {**made, **{f.__name__: named(f, getattr(numpy, f.__name__)) for f in functions}}


def _numpy_random(session: Session) -> StandIns:
    """The module's functions are those of a generator of the session's own."""
    if not session.in_process:
        return {}
    module = importlib.import_module("numpy.random")
    own = module.RandomState()

    def priced(real: Callable[..., object]) -> Callable[..., object]:
        def draw(*args: object, **options: object) -> object:
            size = options.get("size")
            session.services.price_bytes(8 * _items(size) if size is not None else 0)
            if real.__name__ in ("rand", "randn"):
                session.services.price_bytes(8 * _items(args))
            return real(*args, **options)

        return named(draw, real)

    names = [
        name
        for name in module.__all__
        if callable(getattr(own, name, None)) and not isinstance(getattr(module, name), type)
    ]
    return {name: priced(getattr(own, name)) for name in names}


def check_expression(session: Session, text: object) -> None:
    """Refuse a query text that reads attributes which guest code may not read.

    Raises:
        RefusedOperation: It does, or is no plain text.
    """
    if type(text) is not str:
        raise RefusedOperation("an expression must be a plain str")
    # Identifiers are normalised by the parser: look at what it will see.
    normal = unicodedata.normalize("NFKC", text)
    for name in _ATTRIBUTE.findall(normal):
        session.services.check_attribute(name)
        if name in METHODS or name in ("agg", "aggregate", "apply", "transform", "pipe"):
            raise RefusedOperation(f"attribute {name!r} in an expression is refused", "compute it first")
    if "__" in normal:
        raise RefusedOperation("double underscores in an expression are refused")


def _pandas(session: Session) -> StandIns:
    if not session.in_process:
        return {}
    pandas = importlib.import_module("pandas")

    def evaluate(expr: object, *args: object, **options: object) -> object:
        check_expression(session, expr)
        return pandas.eval(expr, *args, **{**options, "level": cast(int, options.get("level", 0)) + 1})

    return {"eval": named(evaluate, pandas.eval)}


def _pillow(session: Session) -> StandIns:
    if not session.in_process:
        return {}
    image = importlib.import_module("PIL.Image")

    def new(mode: str, size: object, *args: object, **options: object) -> object:
        session.services.price_bytes(4 * _items(size))
        return image.new(mode, size, *args, **options)

    return {"new": named(new, image.new)}


def _packages(obj: object, method: object) -> set[str]:
    """Return the top-level packages that a method and the classes of its object come from."""
    if type(obj) is super:
        obj = object.__getattribute__(obj, "__self__")
    kind = obj if isinstance(obj, type) else type(obj)
    classes = [*type.__dict__["__mro__"].__get__(kind), getattr(method, "__objclass__", None)]  # type: ignore[index]
    modules = [type.__getattribute__(c, "__module__") for c in classes if isinstance(c, type)]
    modules.append(getattr(method, "__module__", None))
    return {name.partition(".")[0] for name in modules if type(name) is str}


def _own_arguments(method: object, args: tuple[object, ...]) -> tuple[object, ...]:
    """Return the arguments after `self`, which stands among them when the method was read from its class."""
    return args if type(method) is types.MethodType else args[1:]


def _expression_method(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return DataFrame.eval or .query with its text checked; methods of that name of other objects as they are."""
    if "pandas" not in _packages(obj, method):
        return method

    def evaluate(*args: object, **options: object) -> object:
        # SECURITY: what is no plain str is turned into one later, by its own __str__.
        check_expression(session, (*_own_arguments(method, args), options.get("expr"))[0])
        return method(*args, **{**options, "level": cast(int, options.get("level", 0)) + 1})

    return named(evaluate, method)


def _named_function_method(
    session: Session, obj: object, method: Callable[..., object]
) -> Callable[..., object]:
    """Return agg/apply/transform with function names checked: pandas looks them up on the object and on numpy."""
    if "pandas" not in _packages(obj, method):
        return method

    def check(name: object) -> None:
        if isinstance(name, str):
            session.services.check_attribute(name)
            if name in METHODS or name.startswith(("to_", "read_")):
                raise RefusedOperation(f"{name!r} as the name of a function is refused", "pass the function")
        elif isinstance(name, dict):
            check(list(name.values()))
        elif isinstance(name, (list, tuple)):
            for one in name:
                check(one)

    def apply(*args: object, **options: object) -> object:
        for candidate in (*_own_arguments(method, args)[:1], options.get("func"), options.get("arg")):
            check(candidate)
        for pair in options.values():  # name=(column, function)
            check(pair[1:] if isinstance(pair, tuple) else None)
        return method(*args, **options)

    return named(apply, method)


def _refused_method(why: str, *owners: str) -> Callable[[Session, object, Callable[..., object]], object]:
    """Return a guard that refuses a method on objects of the named packages ."""

    def guard(session: Session, obj: object, method: Callable[..., object]) -> object:
        if not _packages(obj, method) & set(owners):
            return method
        raise RefusedOperation(f"{getattr(method, '__name__', 'this')} is refused in the host's process", why)

    return guard


def _priced_bits(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    def draw(n: object) -> object:
        session.services.price_bytes(_items(n))
        return method(n)

    return named(draw, method)


def _priced_digest(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return a hash's digest; those of variable length make as many bytes as they are asked for."""

    def digest(*length: object) -> object:
        session.services.price_bytes(2 * _items(length[0]) if length else 0)
        return method(*length)

    shakes = type(obj).__module__ in ("_hashlib", "_sha3", "_blake2") and "shake" in str(
        getattr(obj, "name", "")
    )
    return named(digest, method) if shakes else method


def _executor_method(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return run_in_executor of the guest's loops; that of their base class would start threads."""
    own = (getattr(method, "__module__", None) or "").startswith("pinjra.")
    if own or "asyncio" not in _packages(obj, method):
        return method
    raise RefusedOperation("run_in_executor of another loop is refused")


def _resize(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return an array's resize that keeps its reference check: without it, views go on into freed memory."""
    if "numpy" not in _packages(obj, method):
        return method

    def resize(*new_shape: object, refcheck: bool = True) -> object:
        if not refcheck:
            raise RefusedOperation("resize with refcheck=False is refused", "numpy.resize makes a new array")
        session.services.price_bytes(8 * _items(new_shape))
        return method(*new_shape)

    return named(resize, method)


def _register(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return ABCMeta.register for the guest's own classes only: the host's isinstance asks the same registry."""
    import abc

    def register(*args: object, **options: object) -> object:
        services = session.services
        cls, subclass = (
            (args[0], args[1]) if obj is abc.ABCMeta and len(args) > 1 else (obj, args[0] if args else None)
        )
        own = isinstance(cls, type) and services.is_guest_type(cls)
        if not own and not (isinstance(subclass, type) and services.is_guest_type(subclass)):
            raise RefusedOperation("register on a class of the host takes classes of your own only")
        return method(*args, **options)

    return register if isinstance(obj, abc.ABCMeta) or obj is abc.ABCMeta else method


def _samples(session: Session, obj: object, method: Callable[..., object]) -> Callable[..., object]:
    """Return NormalDist.samples, which draws from the module's generator unless it is given a seed."""
    draw = cast(Callable[[], float], session.stand_ins("random")["random"])

    def samples(*args: object, seed: object = None) -> object:
        return method(*args, seed=draw() if seed is None else seed)

    return samples if "statistics" in _packages(obj, method) else method


Guard = Callable[["Session", object, Callable[..., object]], object]

_ADDRESSES = _refused_method("it gives memory addresses", "numpy")
_LOOPS = _refused_method("event loops here carry tasks and timers only", "asyncio", "pinjra")
_GUARDS: dict[str, Guard] = {
    "eval query": _expression_method,
    "agg aggregate apply transform": _named_function_method,
    "getrandbits randbytes": _priced_bits,
    "digest hexdigest": _priced_digest,
    "register": _register,
    "resize": _resize,
    "run_in_executor": _executor_method,
    "samples": _samples,
    "add_signal_handler connect_read_pipe connect_write_pipe subprocess_exec subprocess_shell": _LOOPS,
    "default_exception_handler set_debug": _LOOPS,
    "capsule cffi ctypes ctypeslib": _ADDRESSES,
    # SECURITY: a template engine behind an attribute (Styler.env) runs text.
    "from_string compile_expression get_template": _refused_method("it runs text", "jinja2"),
    # SECURITY: these hand a descriptor of the caller's choice to C, write in C++, or unpickle.
    "tofile": _refused_method("use tobytes()", "numpy"),
    "evaluate": _refused_method("it evaluates text", "typing", "annotationlib"),
    "get_context get_stack print_stack": _refused_method("it shows the host's", "_asyncio", "asyncio"),
    "to_parquet to_orc to_feather to_hdf to_sql": _refused_method("it writes files", "pandas"),
}
METHODS: dict[str, Guard] = {name: guard for names, guard in _GUARDS.items() for name in words(names)}
"""Method name -> guard(session, object, method): what an attribute load of that name on a host object gives instead."""


def _nothing() -> None:
    """Stand for a value that is no method."""


def guard_method(session: Session, obj: object, name: str, value: object) -> object:
    """Return what the guest gets for `obj.name`, whose plain value is `value`; for names in METHODS."""
    if not session.in_process or session.services.is_guest(value) or not callable(value):
        return value if name not in ("ctypes", "cffi", "capsule") else METHODS[name](session, obj, _nothing)
    return METHODS[name](session, obj, cast(Callable[..., object], value))


FACTORIES: dict[str, Factory] = {
    "PIL.Image": _pillow,
    "numpy": _numpy,
    "numpy.random": _numpy_random,
    "pandas": _pandas,
}
