"""Policy: what a guest may import and name. This folder is data; read it first.

| file | says |
| --- | --- |
| `syntax` | which nodes of the grammar are known; everything else is refused until somebody has reviewed it |
| `names` | which names source may not use where imports are "listed" |
| `modules` | which modules are listed, and which cannot work in a box |
| `events` | which audit events are refused where no wall stands behind the guest |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pinjra.guard.policy.modules import LISTED

ImportMode = Literal["listed", "standard", "all"]
"""What can be imported without being authorised: the reviewed list, the standard library, whatever is installed."""

IMPORT_MODES: tuple[ImportMode, ...] = get_args(ImportMode)
DEFAULT_AUTHORIZED = tuple(name for name in LISTED if not name.startswith("__"))


@dataclass(frozen=True)
class Policy:
    """What guest code may do.

    Args:
        authorized_imports: Module names besides those of `imports`: `pkg` (with what lies below it), `pkg.sub`, `pkg.*`, `*`.
        protected: Names that guest code may not bind at module level (the tools).
        is_walled: Something else confines the process; False has the audit hook look at files, processes and sockets.
    """

    authorized_imports: tuple[str, ...] = ()
    imports: ImportMode = "listed"
    protected: frozenset[str] = frozenset()
    is_walled: bool = True

    @property
    def mode(self) -> ImportMode:
        """Return the import mode in force: `*` authorises everything."""
        return "all" if "*" in self.authorized_imports else self.imports
