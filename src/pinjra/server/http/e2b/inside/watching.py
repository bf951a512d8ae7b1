"""Folders -> what happens in them, by inotify(7)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from e2b.envd.filesystem import filesystem_pb as pb
from protobuf import Oneof

if TYPE_CHECKING:
    EntryOf = Callable[[str], pb.EntryInfo | None]

_MODIFY, _ATTRIB, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x4, 0x40, 0x80, 0x100, 0x200
_ISDIR, _IGNORED = 0x40000000, 0x8000
_MASK = _MODIFY | _ATTRIB | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_KINDS = (
    (_CREATE | _MOVED_TO, pb.EventType.CREATE),
    (_MODIFY, pb.EventType.WRITE),
    (_DELETE, pb.EventType.REMOVE),
    (_MOVED_FROM, pb.EventType.RENAME),
    (_ATTRIB, pb.EventType.CHMOD),
)
_GONE = _DELETE | _MOVED_FROM
_MOST_EVENTS = 10_000  # that nobody has asked for; the oldest are forgotten

_libc = ctypes.CDLL(None, use_errno=True)


class Watcher:
    """What happens in one folder, and on request in those below it."""

    def __init__(self, folder: str, recursive: bool, entry_of: EntryOf | None) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        self._recursive = recursive
        self._entry_of = entry_of
        self._events: deque[pb.FilesystemEvent] = deque(maxlen=_MOST_EVENTS)
        self._wake = asyncio.Event()
        self._folders: dict[int, str] = {}
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self._add(folder)
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _add(self, folder: str) -> None:
        number = _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _MASK)
        if number >= 0:
            self._folders[number] = folder
        if self._recursive:
            for found in os.scandir(folder):
                if found.is_dir(follow_symlinks=False):
                    self._add(found.path)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = struct.unpack_from("iIII", data, at)
            name = os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0"))
            at += 16 + length
            if number in self._folders and not mask & _IGNORED:
                self._take(os.path.join(self._folders[number], name) if name else self._folders[number], mask)
        self._wake.set()

    def _take(self, path: str, mask: int) -> None:
        for bits, kind in _KINDS:
            if mask & bits:
                entry = self._entry_of(path) if self._entry_of and not mask & _GONE else None
                name = os.path.relpath(path, self._folder)
                self._events.append(pb.FilesystemEvent(name=name, type=kind, entry=entry))
        if self._recursive and mask & _ISDIR and mask & (_CREATE | _MOVED_TO):
            self._add_new(path)

    def _add_new(self, folder: str) -> None:
        """Watch a new folder, and tell what came into it before it was watched."""
        try:
            self._add(folder)
            for found in os.scandir(folder):
                self._take(found.path, _CREATE)
        except OSError:
            return  # it is gone already

    def take(self) -> list[pb.FilesystemEvent]:
        """Return what has happened since the last time."""
        self._read()
        events = list(self._events)
        self._events.clear()
        return events

    async def responses(self, keepalive: str | None) -> AsyncIterator[pb.WatchDirResponse]:
        """Yield what happens, as the service says it."""
        seconds = max(float(keepalive or 3600), 1.0)
        yield pb.WatchDirResponse(event=Oneof("start", pb.WatchDirResponse.StartEvent()))
        while True:
            while self._events:
                yield pb.WatchDirResponse(event=Oneof("filesystem", self._events.popleft()))
            self._wake.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                yield pb.WatchDirResponse(event=Oneof("keepalive", pb.WatchDirResponse.KeepAlive()))

    def close(self) -> None:
        """Stop watching."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
