"""Attribute writes and private reads in a function -> asked once a call for each parameter, instead of at every use.

`self.a = v; self.b = w` becomes `$oself = self if type(self) in $G else $W(self)` at the start and `$oself.a = v; $oself.b = w`:
the object itself where it is the guest's own, else a stand-in that asks the policy at each use.

Sound because the name is never bound again in the function (nor by `nonlocal` in one inside it), and because what
`type(self) in $G` lets pass stays harmless when the guest changes `self.__class__` in between: it could have written the
same attributes just before.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

__all__ = ["Subjects"]

_WORTH = 2  # uses from which one question at the start is cheaper than one at each


class Subjects:
    """The parameters of one function, and the uses of them whose guard is chosen when all of it is known."""

    def __init__(self, parameters: ast.arguments) -> None:
        self.parameters = {arg.arg for arg in (*parameters.posonlyargs, *parameters.args)}
        self.bound: set[str] = set()
        self._uses: dict[str, list[ast.Attribute]] = {}

    def defer(self, node: ast.Attribute) -> bool:
        """Take a use of `name.attribute`; False where the name is no parameter."""
        if not isinstance(node.value, ast.Name) or node.value.id not in self.parameters:
            return False
        self._uses.setdefault(node.value.id, []).append(node)
        return True

    def settle(
        self, ask: Callable[[ast.Name], ast.expr], inline: Callable[[ast.Attribute], None]
    ) -> list[ast.stmt]:
        """Return the statements that ask at the function's start; other uses are given to `inline`.

        Args:
            ask: Returns an expression for an object of a parameter's whose attributes may be used.
        """
        first: list[ast.stmt] = []
        for name, uses in self._uses.items():
            if name in self.bound or len(uses) < _WORTH:
                for node in uses:
                    inline(node)
                continue
            asked = ast.Name("$o" + name, ast.Store())
            first.append(ast.Assign([asked], ask(ast.Name(name, ast.Load()))))
            for node in uses:
                node.value = ast.copy_location(ast.Name("$o" + name, ast.Load()), node.value)
        return first
