# ruff: noqa: E501
"""Property: programs made at random print and raise under the guard what they print and raise in plain Python."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import types
import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.guard.support import Session

_NAMES = ("a", "b", "c", "d", "_p", "__q")
_BINARY = ("+", "-", "*", "//", "%", "|", "and", "or", "<", "==", "is not", "in")
_CONSTANT = ("** 2", "<< 3", "% 7", "* 2", "** -1", "@ 1")  # growth stays small
_AUGMENTED = ("+= {}", "-= {}", "*= 2", "%= {}", "//= {}", "|= {}", "**= 2", "<<= 1", "*= (1,)", "%= t(3)")
_ATOMS = ("0", "1", "3", "-2", "2.5", "''", "'ab'", "b'x'", "None", "True", "()", "(1, 2)", "[]", "[3, 1, 2]", "{}",
          "{'k': 1}", "{1, 2}", "range(3)", "o", "o.v", "o._w", "o.m", "C", "C.s", "1j")  # fmt: skip
_SPECS = ("", ":>6", ":03d", "!r", "!s:^9", ":.2f", ":{3}", "=")
_PRELUDE = """
log = []
def t(x):
    log.append(repr(x)[:40])
    return x
class D:
    def __set_name__(self, owner, name): self.n = name; owner.seen = name
    def __get__(self, i, owner=None): return (self.n, i is None)
class M(type):
    def __call__(cls, *args): log.append("made"); return super().__call__(*args)
    def __getattr__(cls, name): return "meta " + name
class B:
    def __init_subclass__(cls, tag=0, **kw): super().__init_subclass__(**kw); cls.tag = tag
    def who(self): return "B"
class C(B, metaclass=M, tag=5):
    s = 1
    d = D()
    __slots__ = ("v", "_w", "__x")
    def __init__(self, v=7): self.v, self._w, self.__x = v, [v], (v,)
    def m(self, *args, k=0, **kw): return self.v, args, k, kw, self.__x
    def who(self): return "C" + super().who() + __class__.__name__
    def __getitem__(self, k): log.append(("get", repr(k))); return k
    def __setitem__(self, k, v): log.append(("set", repr(k), repr(v)))
    def __delitem__(self, k): log.append(("del", repr(k)))
    def __imul__(self, other): log.append("imul"); return self
    def __mul__(self, other): return ("mul", other)
    def __rmod__(self, other): return ("rmod", other)
    def __enter__(self): log.append("enter"); return self
    def __exit__(self, kind, error, trace): log.append(("exit", kind and kind.__name__)); return kind is KeyError
    def __iter__(self): yield 1; yield from (2, 3)
    def __repr__(self): return "<C>"
    def __getattr__(self, name): raise AttributeError("none " + name)
o = C()
a = b = c = d = _p = __q = 1
"""


@st.composite
def _expression(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0:
        return draw(st.sampled_from(_ATOMS + _NAMES))
    e = _expression(depth - 1)
    kind = draw(st.integers(0, 22))
    x, y, z = draw(e), draw(e), draw(e)
    name = draw(st.sampled_from(_NAMES[:4]))
    forms = [
        x,
        f"({x} {draw(st.sampled_from(_BINARY))} {y})",
        f"({x} {draw(st.sampled_from(_CONSTANT))})",
        f"({x} if {y} else {z})",
        f"[{x}, *({y},)]",
        f"{{{x!r}: {y}}}",
        f"t({x})",
        f"f'{{{x}{draw(st.sampled_from(_SPECS))}}}'"
        if "'" not in x and "\\" not in x and "{" not in x
        else x,
        f"[{name} for {name} in ({x}, {y}) if {z}]",
        f"{{k: {x} for k in 'ab'}}",
        f"sum(1 for {name} in [{x}] for _ in range(2))",
        f"(lambda {name}, *r, k={x}: ({name}, r, k, {y}))({z})",
        f"({name} := {x})",
        f"o.m({x}, *[{y}], k={z})",
        f"o[{x}]",
        f"[{x}, {y}, {z}][t(0):t(2)]",
        f"({x} < {y} < {z})",
        f"sorted([{x}, {y}], key=repr)",
        f"'%s|%r' % ({x}, {y})",
        f"'{{}}-{{!r}}'.format({x}, {y})",
        f"list(map(repr, zip([{x}], enumerate([{y}]))))",
        f"getattr(o, {draw(st.sampled_from(['v', '_w', 'zz', 'd', '_C__x']))!r}, {x})",
        f"(not {x}, -1 if {y} else ~2)",
    ]
    return forms[kind]


def _indent(block: str) -> str:
    return "\n".join("    " + line for line in block.splitlines())


@st.composite
def _statement(draw: st.DrawFn, depth: int = 1) -> str:
    e = _expression(2)
    x, y = draw(e), draw(e)
    name = draw(st.sampled_from(_NAMES))
    simple = [
        f"{name} = {x}",
        f"print({x})",
        f"{name} {draw(st.sampled_from(_AUGMENTED)).format(x)}",
        f"o.v {draw(st.sampled_from(_AUGMENTED)).format(x)}",
        f"o[{x}] {draw(st.sampled_from(_AUGMENTED)).format(x)}",
        f"a, *b = {x}, {y}, 3",
        f"o.v, o[{x}] = {y}, t(2)",
        f"del o[{x}]",
        f"o._w = o.new = {x}",
        f"assert {x}, {y}",
        f"raise ValueError({x})",
        f"C.s = {x}",
    ]
    if depth == 0:
        return draw(st.sampled_from(simple))
    body, other = _indent(draw(_block(depth - 1))), _indent(draw(_block(depth - 1)))
    blocks = [
        *simple,
        f"if {x}:\n{body}\nelse:\n{other}",
        f"for {name} in ({x}, {y}):\n{body}\nelse:\n{other}",
        f"n = 0\nwhile n < 2:\n    n += 1\n{body}\n    if {x}: continue\n    if {y}: break\nelse:\n{other}",
        f"try:\n{body}\nexcept (TypeError, AttributeError) as e:\n    print(type(e).__name__, e)\n"
        f"else:\n{other}\nfinally:\n    t('f')",
        f"try:\n{body}\nexcept* ValueError as e:\n    print(e.exceptions)\n{other}",
        f"with C() as w, o:\n{body}",
        f"def f(a, b={x}, *r, **k):\n    nonlocal_ = b\n{body}\n    return locals().keys() - {{'e', 'w', 'n'}}\n"
        f"print(sorted(f({y})))",
        f"def g():\n    try:\n        got = yield {x}\n        print('got', got)\n        yield from [{y}]\n    finally:\n        print('end')\n"
        "it = g()\nprint(next(it), it.send(1), list(it))",
        f"class K(C, tag={x}):\n    y = [{name} for {name} in 'ab']\n    def h(self):\n        return super().who(), __class__.__name__\n"
        f"{body}\nprint(K.tag, K.y, K().h(), K.unknown)",
        f"match {x}:\n    case int(n) | float(n) if n: print('num', n)\n    case [first, *rest]: print(first, rest)\n"
        f"    case {{'k': v, **kw}}: print(v, kw)\n    case C(v=v): print(v)\n    case str() | None: print('text')\n    case _:\n{_indent(other)}",
        f"def outer():\n    z = {x}\n    def inner():\n        nonlocal z\n        global a\n        z = a = {y}\n        return z\n"
        "    return inner(), z\nprint(outer(), a)",
    ]
    return draw(st.sampled_from(blocks))


@st.composite
def _block(draw: st.DrawFn, depth: int) -> str:
    return "\n".join(draw(st.lists(_statement(depth), min_size=1, max_size=3)))


def _plain(source: str) -> tuple[str, str | None]:
    module = types.ModuleType("__main__")
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    out, failure = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            exec(compile(source, "<guest:1>", "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        failure = type(error).__name__
    except BaseException as error:
        trace = error.__traceback__
        while trace.tb_next:
            trace = trace.tb_next
        failure = f"{type(error).__name__} {trace.tb_lineno} {error}"
    finally:
        sys.modules["__main__"] = before
    return out.getvalue(), failure


def _guarded(source: str) -> tuple[str, str | None]:
    session = Session()
    error = session.run(source).error
    if error is None:
        return session.printed, None
    shown = (
        error.type
        if error.type in ("SyntaxError", "IndentationError")
        else f"{error.type} {error.line} {error.message}"
    )
    return session.printed, shown


def _alike(text: str | None) -> str | None:
    """Return text without addresses, which differ from run to run."""
    return text and re.sub(r"0x[0-9a-f]+", "0x", text)


@settings(
    max_examples=int(os.environ.get("DIFFERENTIAL_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(_statement(), min_size=2, max_size=4))
def test_a_random_program_does_what_it_does_in_python(statements: list[str]) -> None:
    source = _PRELUDE + "\n".join(statements) + "\nprint(log, o.__dict__, C.tag, C.seen)\n"
    output, failure = _plain(source)
    shown, error = _guarded(source)
    assert _alike(shown) == _alike(output)
    assert _alike(error) == _alike(failure)
