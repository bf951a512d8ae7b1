"""Transport: the duplex byte stream between host and worker. What a backend opens; the rest of a session is the same for all."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """A started worker at the other end of a byte stream.

    Raises, from every method:
        BackendError: The provider's API, network or daemon failed.
    """

    # Where there is a descriptor that is readable when `read` has something, `fileno()` returns it: then an event loop can follow
    # the session without a thread.
    eight_bit_clean: bool
    """Raw bytes survive both ways; False where the stream is text (then everything is ASCII JSON lines)."""

    def read(self, timeout_seconds: float | None) -> bytes:
        """Return the next bytes (1 to 1 MiB); b"" at the end of the stream.

        Raises:
            TimeoutError: Nothing came in time.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`, in order. May be called by one thread while another reads."""
        ...

    @property
    def pid(self) -> int:
        """Return the number of the worker's first process, as this machine has it; 0 where it runs elsewhere, or has ended."""
        return 0

    def reopen(self) -> bool:
        """Attach again to the same worker after the stream broke; False where this backend cannot."""
        return False

    def kill(self) -> None:
        """End the worker and everything below it, at once. Idempotent, from any thread."""
        ...

    def close(self) -> None:
        """Kill, and free what the host holds (sockets, containers, leases). Idempotent."""
        ...

    def describe_death(self) -> str:
        """Return what is known of why the stream ended ("exit status 137, OOMKilled"); "" when nothing is."""
        return ""
