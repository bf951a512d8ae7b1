"""Checked tree -> guarded tree. Each dangerous operation goes through a guard; everything else stays as it was.

Guards have names that source cannot spell (`$t`). They live in the guest's builtins; module and class bodies declare
them `global`, so neither the guest's globals nor a metaclass's mapping can put something in front of them.

| source | becomes | guard |
| --- | --- | --- |
| def f(): …, lambda: e | for $_ in $ticks: break; …, $t() and e | a tick of the budget |
| while c: … | for $_ in $ticks: if not c: break; … | ticks, counted in C |
| for x in e (also in comprehensions) | for x in $i(e) | pays for sized ones at once, meters the others |
| o.x = v, del o.x, o.x += v | (o if type(o) in $G else $w(o, "x")).x = v | only the guest's own and plain data |
| self.x = v, self._x, twice or more | $oself = self if type(self) in $G else $W(self); $oself.x = v | asked once a call |
| o._x | (o if type(o) in $G else $p(o, "_x"))._x | only the guest's own |
| o.format, o.__dict__, … | $x(o, "format") | a safe version of the attribute |
| a * b, a ** b, a << b, a % b | see `operations` | priced before it runs |
| except E: … | except E: for $_ in $ticks: break; … | a stop cannot be swallowed |
"""

# ruff: noqa: N802

from __future__ import annotations

import ast

from pinjra.guard.calls import DIRECT, WATCHED_BUILTINS, is_paid, may_make_a_class
from pinjra.guard.loops import LAZY, Loops
from pinjra.guard.operations import GUARDED, guarded_operation, is_plain, is_plain_format, is_short
from pinjra.guard.policy import Kind, kind_of
from pinjra.guard.subjects import Subjects
from pinjra.guard.tree import locate

__all__ = ["RESULT", "rewrite"]

RESULT = "$result"
_CONSUMERS = frozenset(["list", "tuple", "set", "frozenset", "dict", "bytes", "bytearray"])
_ARITY = {"type": 3, "int": 2}


def rewrite(tree: ast.Module, *, libraries: bool = False) -> ast.Module:
    """Return the guarded tree; the value of a last expression is stored as `$result`. Changes `tree`.

    Args:
        libraries: Native libraries share the process: calls that make classes are watched (see `births`).
    """
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name(RESULT, ast.Store())], last.value), last)
    rewriter = _Rewriter()
    rewriter.libraries = libraries
    rewriter.used.add(RESULT)
    tree.body = rewriter.block(tree.body)
    _declare(tree.body, rewriter.used)
    locate(tree)
    return tree


def _declare(body: list[ast.stmt], used: set[str]) -> None:
    """Put `global $…` after docstring and __future__ imports."""
    if not used:
        return
    at = 0
    for at, node in enumerate([*body, ast.Pass()]):
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not future and not (at == 0 and _is_docstring(node)):
            break
    declaration = ast.Global(sorted(used))
    body.insert(at, ast.copy_location(declaration, body[min(at, len(body) - 1)]) if body else declaration)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and type(node.value.value) is str
    )


class _Rewriter(Loops):
    """One pass over the tree."""

    libraries = False

    # --- attributes

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        node.value = self.visit(node.value)
        name = self._mangled(node.attr)
        kind = kind_of(name)
        if isinstance(node.ctx, ast.Load):
            if kind is Kind.SPECIAL:
                return ast.copy_location(self.call("x", node.value, ast.Constant(name)), node)
            if kind is not Kind.PRIVATE:
                return node
        reads = isinstance(node.ctx, ast.Load)
        if (
            isinstance(node.value, ast.Name)
            and self._scope != "c"
            and kind is not Kind.SPECIAL
            and (reads or name[:2] != "__")
        ):
            if self._subjects is None or not self._subjects.defer(node):
                self._ask(node)
        elif self._scope in "fm" and kind is not Kind.SPECIAL and (reads or name[:2] != "__"):
            held = self.temp()
            stored = ast.NamedExpr(ast.Name(held, ast.Store()), node.value)
            node.value = ast.copy_location(ast.Name(held, ast.Load()), node)
            self._ask(node, stored)
        else:
            slow = self.call("p" if reads else "w", node.value, ast.Constant(name))
            node.value = ast.copy_location(slow, node)
        return node

    def _ask(self, node: ast.Attribute, first: ast.expr | None = None) -> None:
        """o.x = v -> (o if type(o) in $G else $w(o, "x")).x = v; `first` is evaluated where the type is asked."""
        guard = "p" if isinstance(node.ctx, ast.Load) else "w"
        name = ast.Constant(self._mangled(node.attr))
        node.value = self._own(node.value, self.call(guard, node.value, name), first)

    def _own(self, obj: ast.expr, other: ast.expr, first: ast.expr | None = None) -> ast.expr:
        """Return `obj` where it is a plain object of the guest's, else `other`."""
        test = ast.Compare(self.call("type", first or obj), [ast.In()], [self.guard("G")])
        return ast.IfExp(test, obj, other)

    # --- calls, operators, formats

    def visit_Call(self, node: ast.Call) -> ast.expr:
        func = node.func
        method = func.attr if isinstance(func, ast.Attribute) else None
        node = self.generic(node)
        if isinstance(func, ast.Name) and node.args:
            if func.id in _CONSUMERS and is_paid(node):
                return node
            if func.id in _CONSUMERS or _ARITY.get(func.id) == len(node.args):
                node.args.insert(0, node.func)
                node.func = self.guard("c")
            elif func.id in LAZY and not (self.libraries and func.id == "map"):
                node.args.insert(0, node.func)
                node.func = self.guard("z")
        elif (
            method == "join" and len(node.args) == 1 and not node.keywords and isinstance(node.func, ast.Call)
        ):
            joined = [node.func.args[0], *node.args]
            if not isinstance(node.args[0], ast.Starred):
                node.func, node.args = self.guard("join"), joined
        elif method == "replace" and _has_two(node) and isinstance(node.func, ast.Call):
            target = node.func.args[0]
            node.func, node.args = self.guard("replace"), [target, *node.args]
        elif method == "format" and is_plain_format(func, node):
            node.func = ast.copy_location(ast.Attribute(func.value, "format", ast.Load()), node)  # type: ignore[attr-defined]
        if self.libraries and may_make_a_class(node):
            self._watched(node)
        if isinstance(func, ast.Name) and func.id in DIRECT and is_paid(node):
            real = ast.Compare(func, [ast.Is()], [self.guard("g" + func.id)])
            node.func = ast.copy_location(ast.IfExp(real, self.guard("r" + func.id), node.func), func)
        return node

    def _watched(self, node: ast.Call) -> None:
        """f(a, b) -> (f if type(f) is $function else $f(f))(a, b)"""
        func = node.func
        if isinstance(func, ast.Name) and func.id[:1] == "$":
            return
        slow = self.call("f", func)
        if isinstance(func, ast.Name) and self._scope != "c":
            own: ast.expr = ast.Compare(self.call("type", func), [ast.Is()], [self.guard("function")])
            if func.id in WATCHED_BUILTINS:
                own = ast.Compare(func, [ast.Is()], [self.guard(func.id)])
            node.func = ast.copy_location(ast.IfExp(own, func, slow), func)
        else:
            node.func = ast.copy_location(slow, func)

    def visit_Starred(self, node: ast.Starred) -> ast.expr:
        node.value = self.visit(node.value)
        if isinstance(node.ctx, ast.Load):
            node.value = ast.copy_location(self.call("m", node.value), node)
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.expr:
        node.value = self.call("m", self.visit(node.value))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        plain = type(node.op) not in GUARDED or is_plain(node.op, node.left, node.right)
        node = self.generic(node)
        if plain:
            return node
        temp = self.temp if self._scope in "fmgs" else None
        # A generator may be read by turns with another of its kind: nothing may run between a temporary's two uses.
        single = self._scope == "s"
        new = guarded_operation(node, self.guard, temp, names_hold=self._scope != "c", single=single)
        return ast.copy_location(new, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        if type(node.op) not in GUARDED or is_plain(node.op, ast.Name("_", ast.Load()), node.value):
            return self.generic(node)
        return self._priced_augmented(node)

    def _priced_augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        """`o.a *= v` -> $1 = o; $2 = $1.a; $3 = v; $2 *= $pmul($2, $3); $1.a = $2 (each part once, in CPython's order)."""
        before: list[ast.stmt] = []
        load, store = self._split_target(node.target, before)
        if isinstance(node.target, ast.Name):
            current, after = load, []
        else:
            name = self.temp()
            before.append(ast.Assign([ast.Name(name, ast.Store())], load))
            current = ast.Name(name, ast.Load())
            after = [ast.Assign([store], current)]
        price = self.call("p" + GUARDED[type(node.op)], current, self.visit(node.value))
        target = ast.Name(current.id, ast.Store())  # type: ignore[attr-defined]
        statements = [*before, ast.AugAssign(target, node.op, price), *after]
        return [ast.copy_location(statement, node) for statement in statements]

    def _split_target(self, target: ast.expr, before: list[ast.stmt]) -> tuple[ast.expr, ast.expr]:
        """Return how to load and how to store `target`, its parts kept in temporaries by statements in `before`."""
        if isinstance(target, ast.Name):
            return ast.Name(target.id, ast.Load()), target
        parts = []
        self.used.add("$slice")
        for part in (target.value, getattr(target, "slice", None)):  # type: ignore[attr-defined]
            if part is not None:
                name = self.temp()
                before.append(ast.Assign([ast.Name(name, ast.Store())], self.visit(_slice_object(part))))
                parts.append(name)
        if isinstance(target, ast.Subscript):
            return tuple(  # type: ignore[return-value]
                ast.Subscript(ast.Name(parts[0], ast.Load()), ast.Name(parts[1], ast.Load()), ctx)
                for ctx in (ast.Load(), ast.Store())
            )
        attr: str = target.attr  # type: ignore[attr-defined]
        load, store = (
            ast.Attribute(ast.Name(parts[0], ast.Load()), attr, ctx) for ctx in (ast.Load(), ast.Store())
        )
        return self.visit(load), self.visit(store)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.expr:
        node.value = self.visit(node.value)
        if node.format_spec is not None:
            dynamic = not is_short(node.format_spec)
            node.format_spec = self.generic(node.format_spec)
            if dynamic:
                node.format_spec = self.call("spec", node.format_spec)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        starred = any(isinstance(part, ast.Starred) for target in node.targets for part in ast.walk(target))
        node = self.generic(node)
        if starred:
            node.value = ast.copy_location(self.call("m", node.value), node.value)
        return node

    # --- scopes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        node.decorator_list = self.block(node.decorator_list)
        with self.scope(self._roomless()):
            self._arguments(node.args)
            if node.returns is not None and not self._future:
                node.returns = self.visit(node.returns)
            if hasattr(node, "type_params"):
                node.type_params = self.block(node.type_params)
        subjects = Subjects(node.args)
        self.bound(node.name)
        self._functions.append(subjects)
        with self.scope("f"):
            self._subjects = subjects
            body = self.block(node.body)
            first = [
                self.tick(),
                *subjects.settle(lambda name: self._own(name, self.call("W", name)), self._ask),
            ]
        self._functions.pop()
        at = 1 if _is_docstring(body[0]) else 0
        body[at:at] = [ast.copy_location(statement, node) for statement in first]
        node.body = body
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        with self.scope(self._roomless()):
            self._arguments(node.args)
        with self.scope("x" if self._in_iterable else "f"):
            node.body = ast.copy_location(
                ast.BoolOp(ast.And(), [self.call("t"), self.visit(node.body)]), node.body
            )
        return node

    def _arguments(self, args: ast.arguments) -> None:
        args.defaults = self.block(args.defaults)
        args.kw_defaults = [default and self.visit(default) for default in args.kw_defaults]
        every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        for arg in every:
            if arg is not None and arg.annotation is not None and not self._future:
                arg.annotation = self.visit(arg.annotation)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if not self._future:
            with self.scope(self._roomless()):
                node.annotation = self.visit(node.annotation)
        node.target = self.visit(node.target)  # type: ignore[assignment]
        node.value = node.value and self.visit(node.value)
        return node

    def visit_TypeAlias(self, node: ast.AST) -> ast.AST:
        with self.scope(self._roomless()):
            return self.generic(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        node.decorator_list = self.block(node.decorator_list)
        with self.scope(self._roomless()):
            node.bases, node.keywords = self.block(node.bases), self.block(node.keywords)
            if hasattr(node, "type_params"):
                node.type_params = self.block(node.type_params)
        self.bound(node.name)
        outer, outer_class = self.used, self._class
        self.used, self._class = set(), node.name
        with self.scope("c"):
            node.body = self.block(node.body)
        _declare(node.body, self.used)
        self.used, self._class = outer | self.used, outer_class
        return node

    # --- exceptions, imports, match

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self.bound(node.name)
        node = self.generic(node)
        node.body.insert(0, ast.copy_location(self.tick(), node))
        return node

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for alias in node.names:
            value: ast.expr = self._import(alias.name, (), 0)
            top, *rest = alias.name.split(".")
            self.bound(alias.asname or top)
            for part in rest if alias.asname else ():
                value = self.call("x", value, ast.Constant(part))
            result.append(ast.Assign([ast.Name(alias.asname or top, ast.Store())], value))
        return [ast.copy_location(statement, node) for statement in result]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        if node.module == "__future__" and not node.level:
            self._future = self._future or any(alias.name == "annotations" for alias in node.names)
            return node
        if node.names[0].name == "*":
            return ast.copy_location(ast.Expr(self.call("star", ast.Constant(node.module or ""))), node)
        names = tuple(alias.name for alias in node.names)
        module = self.temp()
        fetch = self._import(node.module or "", names, node.level)
        result: list[ast.stmt] = [ast.Assign([ast.Name(module, ast.Store())], fetch)]
        for alias in node.names:
            value = self.call("from", ast.Name(module, ast.Load()), ast.Constant(alias.name))
            self.bound(alias.asname or alias.name)
            result.append(ast.Assign([ast.Name(alias.asname or alias.name, ast.Store())], value))
        return [ast.copy_location(statement, node) for statement in result]

    def _import(self, name: str, fromlist: tuple[str, ...], level: int) -> ast.expr:
        names = ast.Constant(fromlist)  # type: ignore[arg-type]  # the compiler takes tuples
        return self.call("import", ast.Constant(name), names, ast.Constant(level))

    def visit_Match(self, node: ast.Match) -> ast.stmt:
        """Before a case with positional class patterns, check what `__match_args__` of those classes names.

        SECURITY: what was checked is what is matched: an expression asked twice may give another class the second time.
        """
        cases: list[ast.match_case] = []
        for case in node.cases:
            for part in ast.walk(case.pattern):
                if isinstance(part, ast.MatchClass) and part.patterns:
                    name = self.temp()
                    kept = ast.NamedExpr(ast.Name(name, ast.Store()), self.call("mg", self.visit(part.cls)))
                    probe = ast.Compare(kept, [ast.Is()], [ast.Constant(None)])
                    part.cls = ast.copy_location(ast.Name(name, ast.Load()), part.cls)
                    anything = ast.copy_location(ast.MatchAs(), case.pattern)
                    cases.append(ast.match_case(anything, probe, [ast.Pass()]))
            if case.guard is not None:
                case.guard = self.visit(case.guard)
            case.pattern = self.visit(case.pattern)
            case.body = self.block(case.body)
            cases.append(case)
        node.subject = self.visit(node.subject)
        node.cases = cases
        return node


def _has_two(node: ast.Call) -> bool:
    """Return whether a call has exactly two arguments, both by position."""
    return (
        len(node.args) == 2 and not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args)
    )


def _slice_object(part: ast.expr) -> ast.expr:
    """Return an expression for the index itself: `a[1:2]` has slice(1, 2)."""
    if isinstance(part, ast.Slice):
        limits = [limit or ast.Constant(None) for limit in (part.lower, part.upper, part.step)]
        return ast.Call(ast.Name("$slice", ast.Load()), limits, [])
    if isinstance(part, ast.Tuple):
        part.elts = [_slice_object(element) for element in part.elts]
    return part
