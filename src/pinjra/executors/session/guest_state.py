"""The variables of a session as a mapping: reading asks the guest, writing sends a copy."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from pinjra.executors.base import PythonExecutor

_NAMES = "sorted(name for name in globals() if not name.startswith('_'))"


class GuestState(MutableMapping[str, object]):
    """A session's variables by name. Each look is a run of the guest's, within its limits."""

    def __init__(self, executor: PythonExecutor) -> None:
        self._executor = executor

    def __getitem__(self, name: str) -> object:
        done = self._executor.run(name) if name.isidentifier() else None
        if done is None or done.error is not None:
            raise KeyError(name)
        return done.value

    def __setitem__(self, name: str, value: object) -> None:
        self._executor.send_variables({name: value})

    def __delitem__(self, name: str) -> None:
        if not name.isidentifier() or self._executor.run(f"del {name}").error is not None:
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        names = self._executor.run(_NAMES).value
        return iter(names if isinstance(names, list) else [])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<variables of {self._executor!r}>"
