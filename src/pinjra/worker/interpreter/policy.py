"""A session's configuration -> the guard's policy."""

from __future__ import annotations

from typing import cast

from pinjra.guard.policy import ImportMode, Policy
from pinjra.wire.messages import Init

__all__ = ["policy_of"]


def policy_of(init: Init) -> Policy:
    """Return what guest code may do in this session."""
    return Policy(
        authorized_imports=init.authorized_imports,
        imports=cast(ImportMode, init.imports),
        protected=frozenset(init.protected),
        is_walled=init.walled,
    )
