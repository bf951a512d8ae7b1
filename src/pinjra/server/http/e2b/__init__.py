"""E2B's API on this service: what the app mounts is `ROUTES` and `SandboxDoor`; it holds `Sandboxes`. docs/e2b.md."""

from pinjra.server.http.e2b.control import ROUTES
from pinjra.server.http.e2b.proxy import SandboxDoor
from pinjra.server.http.e2b.sandboxes import Sandboxes

__all__ = ["ROUTES", "SandboxDoor", "Sandboxes"]
