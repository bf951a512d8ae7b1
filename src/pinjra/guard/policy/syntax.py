"""Syntax: the closed table of nodes and fields that the guard knows (reviewed up to Python 3.15). Data only.

A node or field that is not here is refused, so a new Python adds syntax only after `tests/grammar` was reviewed.
"""

from __future__ import annotations

_TABLE = """
AnnAssign: target annotation value simple
Assert: test msg
Assign: targets value type_comment
AsyncFor: target iter body orelse type_comment
AsyncFunctionDef: name args body decorator_list returns type_comment type_params
AsyncWith: items body type_comment
Attribute: value attr ctx
AugAssign: target op value
Await: value
BinOp: left op right
BoolOp: op values
Call: func args keywords
ClassDef: name bases keywords body decorator_list type_params
Compare: left ops comparators
Constant: value kind
Delete: targets
Dict: keys values
DictComp: key value generators
ExceptHandler: type name body
Expr: value
Expression: body
For: target iter body orelse type_comment
FormattedValue: value conversion format_spec
FunctionDef: name args body decorator_list returns type_comment type_params
GeneratorExp: elt generators
Global: names
If: test body orelse
IfExp: test body orelse
Import: names is_lazy
ImportFrom: module names level is_lazy
Interactive: body
Interpolation: value str conversion format_spec
JoinedStr: values
Lambda: args body
List: elts ctx
ListComp: elt generators
Match: subject cases
MatchAs: pattern name
MatchClass: cls patterns kwd_attrs kwd_patterns
MatchMapping: keys patterns rest
MatchOr: patterns
MatchSequence: patterns
MatchSingleton: value
MatchStar: name
MatchValue: value
Module: body type_ignores
Name: id ctx
NamedExpr: target value
Nonlocal: names
ParamSpec: name default_value
Raise: exc cause
Return: value
Set: elts
SetComp: elt generators
Slice: lower upper step
Starred: value ctx
Subscript: value slice ctx
TemplateStr: values
Try: body handlers orelse finalbody
TryStar: body handlers orelse finalbody
Tuple: elts ctx
TypeAlias: name type_params value
TypeVar: name bound default_value
TypeVarTuple: name default_value
UnaryOp: op operand
While: test body orelse
With: items body type_comment
Yield: value
YieldFrom: value
alias: name asname
arg: arg annotation type_comment
arguments: posonlyargs args vararg kwonlyargs kw_defaults kwarg defaults
comprehension: target iter ifs is_async
keyword: arg value
match_case: pattern guard body
withitem: context_expr optional_vars
"""
_FIELDLESS = """
Add And BitAnd BitOr BitXor Break Continue Del Div Eq FloorDiv Gt GtE In Invert Is IsNot LShift Load Lt
LtE MatMult Mod Mult Not NotEq NotIn Or Pass Pow RShift Store Sub UAdd USub
"""

FIELDS: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, _, fields in (line.partition(":") for line in _TABLE.strip().splitlines())
}
FIELDS.update((name, frozenset()) for name in _FIELDLESS.split())
