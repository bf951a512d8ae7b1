"""`str.format` and `format_map` under the attribute policy.

CPython walks the attributes of a field ("{0.a.b[c]}") in C, by names that a guest chose. Templates without such walks
and without nested specs go to CPython; the others are formatted here, each step through the guards.
"""

from __future__ import annotations

import re
import string
from _string import formatter_field_name_split  # type: ignore[import-not-found]
from collections.abc import Callable, Mapping, Sequence

from pinjra.guard.pricing import Pricing

__all__ = ["Formatting"]

_PLAIN_FIELD = re.compile(r"\{\w*(?:![rsa])?(?::([^{}]*))?\}")


class Formatting:
    """The formatter of one interpreter."""

    def __init__(self, pricing: Pricing, getattribute: Callable[[object, object], object]) -> None:
        self._pricing = pricing
        self._walker = _Walker(pricing, getattribute)

    def format(self, template: str, /, *args: object, **kwargs: object) -> str:
        """Return `template.format(*args, **kwargs)`."""
        if self._is_plain(template):
            return template.format(*args, **kwargs)
        return self._walker.vformat(template, args, kwargs)

    def format_map(self, template: str, mapping: Mapping[str, object], /) -> str:
        """Return `template.format_map(mapping)`."""
        if self._is_plain(template):
            return template.format_map(mapping)
        return self._walker.vformat(template, (), mapping)

    def _is_plain(self, template: str) -> bool:
        """Return whether CPython may format this: no attribute, item, nested spec or large number in any field."""
        bare = template.replace("{{", "").replace("}}", "")
        for spec in _PLAIN_FIELD.findall(bare):
            self._pricing.spec(spec)
        left = _PLAIN_FIELD.sub("", bare)
        return "{" not in left and "}" not in left

    def spec(self, spec: object) -> object:
        """Return the spec, its numbers priced."""
        return self._pricing.spec(spec)


class _Walker(string.Formatter):
    def __init__(self, pricing: Pricing, getattribute: Callable[[object, object], object]) -> None:
        self._pricing = pricing
        self._getattribute = getattribute

    def get_field(
        self, field_name: str, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[object, str]:
        first, rest = formatter_field_name_split(field_name)
        if isinstance(first, int) and first >= len(args):
            raise IndexError(f"Replacement index {first} out of range for positional args tuple")
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            # SECURITY: the name comes from the template, which is the guest's.
            value = self._getattribute(value, key) if is_attribute else value[key]
        return value, first

    def format_field(self, value: object, format_spec: str) -> str:
        self._pricing.spec(format_spec)
        return format(value, format_spec)

    def check_unused_args(self, *_: object) -> None:
        """Accept arguments that no field uses, as str.format does."""
