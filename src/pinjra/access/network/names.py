"""A question of the box's resolver -> an answer. A name that is allowed has an address of the box's own loopback.

Theory: each allowed name gets an address 127.64.x.y for itself, and the gateway listens on all of them. So a connection says by
the address it came to which name the guest meant: any client works unchanged, whatever it speaks, and nothing that the guest says
later (a Host header, a server name in a TLS greeting) decides where it goes. The real address is found on the host, and
never told. RFC 1035; only what a stub resolver asks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_FIRST = 0x7F400001  # 127.64.0.1
_MOST_NAMES = 4096  # a wildcard and a loop make names without end
_TYPE_A, _CLASS_IN = 1, 1
_NO_SUCH_NAME, _SERVER_FAILED = 3, 2
_SECONDS = 60  # how long an answer may be kept
_LONGEST_NAME = 253


class Names:
    """Names of one box and their addresses.

    Args:
        known: Names that have the first addresses, in this order.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._addresses: dict[str, int] = {}
        self._names: dict[str, str] = {}
        for name in known:
            self.address_of(name)

    @property
    def hosts(self) -> str:
        """Return the lines of /etc/hosts that say what is known, so that nobody has to ask."""
        return "".join(f"{address} {name}\n" for address, name in self._names.items())

    def address_of(self, name: str) -> str | None:
        """Return the address of the box's own that stands for `name`; None when there are too many."""
        number = self._addresses.get(name)
        if number is None:
            if len(self._addresses) >= _MOST_NAMES:
                return None
            number = self._addresses[name] = _FIRST + len(self._addresses)
            self._names[_dotted(number)] = name
        return _dotted(number)

    def name_of(self, address: str) -> str:
        """Return the name that an address stands for; an address that stands for none is its own name."""
        return self._names.get(address, address)

    def answer(self, question: bytes, name: str, *, is_allowed: bool) -> bytes:
        """Return the reply to a question for `name`, as `asked` has read it."""
        words = question[12 : question.index(0, 12) + 5]
        code, record = 0, b""
        if not is_allowed:
            code = _NO_SUCH_NAME
        elif self.address_of(name) is None:
            code = _SERVER_FAILED
        elif struct.unpack("!HH", words[-4:]) == (_TYPE_A, _CLASS_IN):  # it has no others (AAAA)
            number = self._addresses[name]
            record = struct.pack("!HHHIHI", 0xC00C, _TYPE_A, _CLASS_IN, _SECONDS, 4, number)
        head = struct.pack("!HHHHH", 0x8180 | code, 1, 1 if record else 0, 0, 0)
        return question[:2] + head + words + record


def asked(question: bytes) -> str | None:
    """Return the one name that a question is about, in lower case; None when it is no such question."""
    if len(question) < 17 or len(question) > 512 or question[2] & 0x80 or question[4:6] != b"\0\1":
        return None
    labels, at = [], 12
    while at < len(question) and (size := question[at]):
        if size > 63 or at + size >= len(question):
            return None
        labels.append(question[at + 1 : at + 1 + size])
        at += 1 + size
    if at + 5 > len(question) or not labels:
        return None
    try:
        name = b".".join(labels).decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    return name if len(name) <= _LONGEST_NAME and name.isprintable() else None


def _dotted(number: int) -> str:
    return ".".join(str(byte) for byte in number.to_bytes(4, "big"))
