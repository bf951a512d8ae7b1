"""What programs see of namespaces, classes in the making, endless iterators and kinds of functions: as in CPython."""

from __future__ import annotations

import pytest
from tests.guard.support import Session

_TRUE = {
    "globals_is_one_live_view": "g = globals()\nx = 1\ng['x'] == 1 and globals() is g and locals() is g",
    "globals_can_be_written": "globals()['made'] = 7\nmade == 7",
    "locals_of_a_class_body_can_be_written": "class C:\n    locals()['dyn'] = 5\nC.dyn == 5",
    "a_class_is_its_makers_in_init_subclass": "class B:\n    def __init_subclass__(cls, tag):\n        cls.tag = tag\n"
    "class C(B, tag='t'): pass\nC.tag == 't'",
    "a_class_is_its_makers_in_set_name": "class D:\n    def __set_name__(self, owner, name):\n        owner.names = name\n"
    "class C:\n    field = D()\nC.names == 'field' and '$birth' not in vars(C)",
    "an_object_changes_its_class": "class A: pass\nclass B: pass\na = A()\na.__class__ = B\ntype(a) is B",
    "a_class_is_renamed": "class A: pass\nA.__name__ = A.__qualname__ = 'B'\nA.__doc__ = 'd'\n"
    "(A.__name__, A.__doc__) == ('B', 'd')",
    "defaults_are_set": "def f(a): return a\nf.__defaults__ = (3,)\nf() == 3",
    "a_metaclass_orders_bases": "class M(type):\n    def mro(cls): return type.mro(cls)\nclass A(metaclass=M): pass\n"
    "A.__mro__ == (A, object)",
    "endless_sources_look_as_they_do": "import itertools as i\n"
    "[repr(i.count(5)), repr(i.repeat(1, 2)), type(i.cycle('a')) is i.cycle]"
    " == ['count(5)', 'repeat(1, 2)', True]",
    "a_repeat_knows_what_is_left": "import itertools, operator\noperator.length_hint(itertools.repeat(1, 3)) == 3",
    "a_source_is_its_own_iterator": "import itertools\nc = itertools.count()\niter(c) is c and list(zip(c, 'ab'))[1] == (1, 'b')",
    "types_of_functions_are_those": "import types\n"
    "type(lambda: 0) is types.FunctionType and type(len) is types.BuiltinFunctionType",
    "modules_are_modules": "import types, json\nisinstance(json, types.ModuleType)",
    "marks_are_left": "import typing\n@typing.final\ndef f(): pass\nf.__final__",
    "hints_inside_hints_are_resolved": "import typing\nclass N:\n    a: \"typing.Optional['N']\"\n    b: list['N']\n"
    "typing.get_type_hints(N) == {'a': typing.Optional[N], 'b': list[N]}",
    "hints_may_be_any_expression": "import typing\ndef f(x: 'dict(a=int)[\"a\"]'): pass\ntyping.get_type_hints(f) == {'x': int}",
    "typings_counter_makes_the_sessions": "import typing, collections\ntype(typing.Counter('a')) is collections.Counter",
    "overloads_are_kept": "import typing\n@typing.overload\ndef f(a): ...\ndef f(a): ...\nlen(typing.get_overloads(f)) == 1",
}


@pytest.mark.parametrize("name", _TRUE)
def test_a_program_finds_what_it_finds_in_python(name: str) -> None:
    assert Session().value(_TRUE[name]) is True


@pytest.mark.parametrize(
    "source",
    [
        "globals()['__builtins__'] = {}",
        "globals()['$t'] = 1",
        "globals()['__name__'] = 'os'",
        "class C:\n    locals()['__module__'] = 'os'",
        "import string\nclass A: pass\na = A()\na.__class__ = string.Formatter",
        "class A: pass\nA.__class__ = type('M', (type,), {})",
        "import string\nstring.Formatter.__name__ = 'x'",
        "import types\ntypes.CodeType()",
        "import collections\nclass M(type):\n    def mro(cls): return type.mro(cls)\n"
        "class A(collections.deque, metaclass=M): pass",
    ],
)
def test_what_host_code_trusts_cannot_be_set(source: str) -> None:
    assert Session().error(source).type.startswith("Refused")
