# ruff: noqa: E501 (programs)
"""What programs find is what they find in Python: namespaces, classes, kinds of functions, errors of the library."""

from __future__ import annotations

import pytest
from tests.guard.support import Session

_TRUE = {
    "globals_is_one_live_view": "g = globals()\nx = 1\ng['x'] == 1 and globals() is g and locals() is g",
    "globals_can_be_written": "globals()['made'] = 7\nmade == 7",
    "nothing_of_the_guard_is_in_globals": "x = [i for i in range(3)]\nwhile x: x.pop()\n"
    "{n for n in globals() if n[:2] != '__'} == {'x'} and [n for n in dir() if '$' in n] == []",
    "nothing_of_the_guard_is_in_locals": "def f(a):\n    for i in range(2): b = len([a])\n    return locals()\nf(1) == {'a': 1, 'b': 1, 'i': 1}",
    "locals_of_a_class_body_can_be_written": "class C:\n    locals()['dyn'] = 5\nC.dyn == 5",
    "a_class_takes_keywords_of_any_name": "class B:\n    def __init_subclass__(cls, name): cls.n = name\n"
    "class C(B, name='x'): pass\nC.n == 'x'",
    "a_class_is_its_makers_in_set_name": "class D:\n    def __set_name__(self, owner, name):\n        owner.names = name\n"
    "class C:\n    field = D()\nC.names == 'field'",
    "an_object_changes_its_class": "class A: pass\nclass B: pass\na = A()\na.__class__ = B\ntype(a) is B",
    "a_metaclass_orders_bases": "class M(type):\n    def mro(cls): return type.mro(cls)\nclass A(metaclass=M): pass\n"
    "A.__mro__ == (A, object)",
    "a_private_name_of_an_object_is_nobodys_business": "import random\nrandom.Random(1)._randbelow(1) == 0",
    "modules_are_modules": "import types, json\nisinstance(json, types.ModuleType) and 'json' in repr(json)",
    "types_of_functions_are_those": "import types\n"
    "type(lambda: 0) is types.FunctionType and type(len) is types.BuiltinFunctionType",
    "types_of_method_descriptors_are_those": "import types\ntype(str.join) is types.MethodDescriptorType and "
    "type(object.__init__) is types.WrapperDescriptorType and type(dict.__dict__['fromkeys']) is types.ClassMethodDescriptorType",
    "a_wrapper_without_attributes_is_wrapped": "import functools\nclass F:\n    def __call__(self): return 1\n"
    "w = functools.update_wrapper(lambda: 2, F())\n(w(), w.__name__, type(w.__wrapped__)) == (2, '<lambda>', F)",
    "single_dispatch_takes_annotations": "import functools\n@functools.singledispatch\ndef f(x): return 'any'\n"
    "@f.register\ndef _(x: int | str): return 'int or str'\nf(1) == 'int or str' and f(1.0) == 'any'",
    "single_dispatch_refuses_generic_aliases": "import functools\n@functools.singledispatch\ndef f(x): return 0\ntry:\n    f.register(list[int])\n"
    "except TypeError as e:\n    said = str(e)\n'register' in said",
    "a_dataclass_is_made_of_keywords_and_bad_names_are_errors": "import dataclasses\nsaid = []\nfor bad in ('class', '1x'):\n"
    "    try:\n        dataclasses.make_dataclass('C', [bad])\n    except TypeError as e:\n        said.append(str(e))\n"
    "dataclasses.make_dataclass('D', [('a', int)], frozen=True)(a=3).a == 3 and len(said) == 2",
    "a_prepare_that_gives_no_mapping_is_an_error": "class M(type):\n    def __prepare__(*a, **k): return 5\ntry:\n"
    "    class A(metaclass=M): pass\nexcept TypeError as e:\n    said = str(e)\n'must return a mapping' in said",
    "a_namespace_differs_from_a_foreign_class": "import types\nclass A: x = 1\n"
    "types.SimpleNamespace(x=1) != A() and types.SimpleNamespace(x=1) == types.SimpleNamespace(x=1)",
    "a_recursive_repr_keeps_names": "import reprlib\nclass A:\n    @reprlib.recursive_repr()\n    def __repr__(self):\n        'd'\n"
    "        return repr([self])\n(repr(A()), A.__repr__.__name__, A.__repr__.__doc__) == ('[...]', '__repr__', 'd')",
    "an_unknown_dialect_is_an_error": "import csv\ntry:\n    csv.reader([], dialect='none')\nexcept csv.Error as e:\n    said = str(e)\n"
    "said == 'unknown dialect'",
    "an_error_of_c_code_that_imports_is_none": "import datetime, pickle\n"
    "datetime.datetime.strptime('2026', '%Y').year == 2026",
    "hints_inside_hints_are_resolved": "import typing\nclass N:\n    a: \"typing.Optional['N']\"\n    b: list['N']\n"
    "typing.get_type_hints(N, globals()) == {'a': typing.Optional[N], 'b': list[N]}",
    "a_tracer_sees_the_lines_that_it_sees_in_python": "import sys\nseen = []\ndef look(frame, event, arg):\n"
    "    seen.append(frame.f_lineno)\n    return look\ndef f():\n    'text'\n    global g\n    x: int\n"
    "    len([])\ndef h():\n    @staticmethod\n    def inner(): pass\n    len([])\ntrace, kept = sys.settrace, sys.gettrace()\ntrace(look)\nf()\nh()\n"
    "trace(kept)\n[n - seen[0] for n in seen] == [0, 4, 4, 5, 6, 7, 6, 7, 8, 8]",
    "a_loop_over_a_generator_closes_it": "ended = []\ndef g():\n    try:\n        yield 1\n    finally:\n        ended.append(1)\n"
    "for x in g(): break\nended == [1]",
    "a_list_may_grow_while_it_is_read": "x = [0]\nfor i in x:\n    if i < 5: x.append(i + 1)\nx == [0, 1, 2, 3, 4, 5]",
    "a_loop_over_what_is_no_iterable_says_so": "try:\n    for x in 5: pass\nexcept TypeError as e:\n    said = str(e)\n"
    "said == \"'int' object is not iterable\"",
}


@pytest.mark.parametrize("name", _TRUE)
def test_a_program_finds_what_it_finds_in_python(name: str) -> None:
    source = _TRUE[name]
    authorized = ("pickle", "reprlib", "sys")
    assert Session(*authorized).value(source) is True
    assert Session(guard=False).value(source) is True
