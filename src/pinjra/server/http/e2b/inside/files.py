"""envd's filesystem service, and uploads and downloads: paths of clients -> files of the box."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b.envd.filesystem import filesystem_pb as pb
from e2b.envd.filesystem.filesystem_connect import Filesystem
from protobuf.wkt import Timestamp
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pinjra.server.http.e2b.inside.processes import user_of
from pinjra.server.http.e2b.inside.surroundings import Surroundings, UnknownUser
from pinjra.server.http.e2b.inside.watching import Watcher

_PIECE_BYTES = 1 << 18
_METADATA = "x-metadata-"
_MOST_METADATA_BYTES = 4096
_PRINTABLE = re.compile(r"[ -~]*")
_TYPES = ((stat.S_ISREG, pb.FileType.FILE), (stat.S_ISDIR, pb.FileType.DIRECTORY))


class _Refused(Exception):
    """The client's fault; with the status that says how."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class FileService(Filesystem):
    """The service, and the routes of /files."""

    def __init__(self, place: Surroundings) -> None:
        self._place = place
        self._watchers: dict[str, Watcher] = {}
        self._metadata: dict[tuple[int, int], dict[str, str]] = {}
        self.routes = [
            Route("/files", _answered(self.download), methods=["GET", "HEAD"]),
            Route("/files", _answered(self.upload), methods=["POST", "PUT"]),
            Route("/files/compose", _answered(self.compose), methods=["POST"]),
        ]

    # ------------------------------------------------------------ entries

    def _path(self, path: str, context: Any) -> str:
        try:
            return self._place.resolve(path, user_of(context.request_headers.get("authorization")))
        except UnknownUser as error:
            raise ConnectError(Code.UNAUTHENTICATED, str(error)) from None

    def _entry(self, path: str) -> pb.EntryInfo:
        """Describe what stands at a path; links are described by what they lead to.

        Raises:
            OSError: There is nothing.
        """
        own = os.lstat(path)
        target = None
        seen = own
        if stat.S_ISLNK(own.st_mode):
            target = self._place.shown(os.path.realpath(path))
            try:
                seen = os.stat(path)
            except OSError:  # it leads nowhere
                seen = own
        kind = next((kind for is_kind, kind in _TYPES if is_kind(seen.st_mode)), pb.FileType.UNSPECIFIED)
        owner = "user" if seen.st_uid == os.getuid() else "root"
        return pb.EntryInfo(
            name=os.path.basename(path),
            type=kind,
            path=self._place.shown(path),
            size=seen.st_size,
            mode=stat.S_IMODE(seen.st_mode),
            permissions=stat.filemode(own.st_mode if target is None else seen.st_mode),
            owner=owner,
            group=owner,
            modified_time=Timestamp(seconds=seen.st_mtime_ns // 10**9, nanos=seen.st_mtime_ns % 10**9),
            symlink_target=target,
            metadata=self._metadata.get(_key(seen), {}),
        )

    def _entry_or_none(self, path: str) -> pb.EntryInfo | None:
        try:
            return self._entry(path)
        except OSError:
            return None

    async def stat(self, request: pb.StatRequest, context: Any, /) -> pb.StatResponse:
        path = self._path(request.path, context)
        return pb.StatResponse(entry=_tried(self._entry, path))

    async def make_dir(self, request: pb.MakeDirRequest, context: Any, /) -> pb.MakeDirResponse:
        path = self._path(request.path, context)
        if os.path.isdir(path):
            raise ConnectError(Code.ALREADY_EXISTS, f"directory already exists: {request.path}")
        _tried(os.makedirs, path)
        return pb.MakeDirResponse(entry=_tried(self._entry, path))

    async def move(self, request: pb.MoveRequest, context: Any, /) -> pb.MoveResponse:
        source, target = self._path(request.source, context), self._path(request.destination, context)
        _tried(os.lstat, source)
        _tried(_make_folders, os.path.dirname(target))
        _tried(_rename, source, target)
        return pb.MoveResponse(entry=_tried(self._entry, target))

    async def list_dir(self, request: pb.ListDirRequest, context: Any, /) -> pb.ListDirResponse:
        path = self._path(request.path, context)
        if not os.path.isdir(path):
            _tried(os.stat, path)
            raise ConnectError(Code.INVALID_ARGUMENT, f"path is not a directory: {request.path}")
        found: list[pb.EntryInfo] = []
        _tried(self._collect, path, request.depth or 1, found)
        return pb.ListDirResponse(entries=found)

    def _collect(self, folder: str, depth: int, found: list[pb.EntryInfo]) -> None:
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            entry = self._entry_or_none(path)
            if entry is None:
                continue
            found.append(entry)
            if depth > 1 and entry.type == pb.FileType.DIRECTORY and not os.path.islink(path):
                self._collect(path, depth - 1, found)

    async def remove(self, request: pb.RemoveRequest, context: Any, /) -> pb.RemoveResponse:
        path = self._path(request.path, context)
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                await asyncio.to_thread(shutil.rmtree, path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _rpc_error(error) from None
        return pb.RemoveResponse()

    # ------------------------------------------------------------ watching

    def _watch(self, request: pb.WatchDirRequest | pb.CreateWatcherRequest, context: Any) -> Watcher:
        folder = self._path(request.path, context)
        _tried(os.stat, folder)
        if not os.path.isdir(folder):
            raise ConnectError(Code.INVALID_ARGUMENT, f"path {request.path} not a directory")
        entry_of = self._entry_or_none if request.include_entry else None
        watcher: Watcher = _tried(Watcher, folder, request.recursive, entry_of)
        self._watchers[watcher.id] = watcher
        return watcher

    def _forget(self, name: str) -> None:
        if (watcher := self._watchers.pop(name, None)) is not None:
            watcher.close()

    async def watch_dir(
        self, request: pb.WatchDirRequest, context: Any, /
    ) -> AsyncIterator[pb.WatchDirResponse]:
        watcher = self._watch(request, context)
        try:
            async for response in watcher.responses(context.request_headers.get("keepalive-ping-interval")):
                yield response
        finally:
            self._forget(watcher.id)

    async def create_watcher(
        self, request: pb.CreateWatcherRequest, context: Any, /
    ) -> pb.CreateWatcherResponse:
        """Watch a folder; what happens is kept until it is asked for."""
        watcher = self._watch(request, context)
        return pb.CreateWatcherResponse(watcher_id=watcher.id)

    async def get_watcher_events(
        self, request: pb.GetWatcherEventsRequest, context: Any, /
    ) -> pb.GetWatcherEventsResponse:
        """Return what has happened since the last time."""
        watcher = self._watchers.get(request.watcher_id)
        if watcher is None:
            raise ConnectError(Code.NOT_FOUND, f"watcher with id {request.watcher_id} not found")
        return pb.GetWatcherEventsResponse(events=watcher.take())

    async def remove_watcher(
        self, request: pb.RemoveWatcherRequest, context: Any, /
    ) -> pb.RemoveWatcherResponse:
        self._forget(request.watcher_id)
        return pb.RemoveWatcherResponse()

    # ------------------------------------------------------------ contents

    def _place_of(self, request: Request, path: str | None = None) -> str:
        query = request.query_params
        path = query.get("path") if path is None else path
        user = query.get("username") or user_of(request.headers.get("authorization"))
        try:
            return self._place.resolve(path or "", user)
        except UnknownUser as error:
            raise _Refused(401, str(error)) from None

    async def download(self, request: Request) -> Response:
        path = self._place_of(request)
        try:
            if os.path.isdir(path):
                raise _Refused(400, f"path '{path}' is a directory")
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise _Refused(404, f"path '{path}' does not exist") from None
        headers = {
            "Content-Disposition": f"inline; filename*=utf-8''{quote(os.path.basename(path))}",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", "") and "range" not in request.headers:
            headers["Content-Encoding"] = "gzip"
            pieces = _packed(_pieces(descriptor))
        else:
            found = os.fstat(descriptor)
            size = found.st_size if stat.S_ISREG(found.st_mode) else 0
            headers |= {"Content-Length": str(size)} if size else {}
            pieces = _pieces(descriptor, size or None)
        return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")

    async def upload(self, request: Request) -> Response:
        """Write files: parts of a form, or the body itself."""
        metadata = _metadata_of(request.headers)
        if request.headers.get("content-type", "").startswith("multipart/"):
            entries = [entry async for entry in self._form(request, metadata)]
        else:
            path = self._place_of(request)
            entries = [await self._write(path, _unpacked(request).stream(), metadata)]
        return JSONResponse(entries)

    async def _form(self, request: Request, metadata: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        async with _unpacked(request).form(max_files=10_000) as form:
            parts = [part for _, part in form.multi_items() if not isinstance(part, str)]
            if not parts:
                raise _Refused(400, "there is no file in the form")
            given = request.query_params.get("path")
            for part in parts:
                path = self._place_of(request, given if given and len(parts) == 1 else part.filename or "")
                yield await self._write(path, _of_part(part), metadata)

    async def _write(
        self, path: str, pieces: AsyncIterator[bytes], metadata: dict[str, str]
    ) -> dict[str, Any]:
        if os.path.isdir(path):
            raise _Refused(400, f"path is a directory: {path}")
        _make_folders(os.path.dirname(path))
        is_new = not os.path.exists(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        if is_new:
            os.fchmod(descriptor, 0o644)  # who watches hears of a new file's mode, too
        with open(descriptor, "wb", buffering=0) as file:
            async for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            key = _key(os.fstat(descriptor))
        self._metadata.pop(key, None)
        if metadata:
            self._metadata[key] = metadata
        shown = self._place.shown(path)
        entry: dict[str, Any] = {"name": os.path.basename(path), "type": "file", "path": shown}
        return {**entry, "metadata": metadata} if metadata else entry

    async def compose(self, request: Request) -> Response:
        wanted = await request.json()
        user = wanted.get("username") or ""
        sources = [self._place.resolve(path, user) for path in wanted["source_paths"]]
        target = self._place.resolve(wanted["destination"], user)
        for source in sources:
            if not os.path.isfile(source):
                raise _Refused(404, f"path '{source}' does not exist")
        _make_folders(os.path.dirname(target))
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(target), delete=False) as file:
            for source in sources:
                with open(source, "rb") as part:
                    shutil.copyfileobj(part, file)
        os.chmod(file.name, 0o644)
        os.replace(file.name, target)
        for source in sources:
            if source != target:
                os.unlink(source)
        return JSONResponse(
            {"name": os.path.basename(target), "type": "file", "path": self._place.shown(target)}
        )


# ---------------------------------------------------------------- errors


def _tried(do: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns, its failure in the service's words."""
    try:
        return do(*arguments)
    except (OSError, ValueError) as error:
        raise _rpc_error(error) from None


def _rpc_error(error: OSError | ValueError) -> ConnectError:
    codes = {
        FileNotFoundError: Code.NOT_FOUND,
        FileExistsError: Code.ALREADY_EXISTS,
        PermissionError: Code.PERMISSION_DENIED,
    }
    code = next((code for kind, code in codes.items() if isinstance(error, kind)), Code.INVALID_ARGUMENT)
    return ConnectError(code, str(error))


def _answered(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Return the same request's function, its failures as the API's errors."""

    async def answer(request: Request) -> Response:
        try:
            response: Response = await handle(request)
        except _Refused as error:
            response = _failure(error.status, str(error))
        except OSError as error:
            status = 507 if error.errno in _FULL else 400
            response = _failure(status, f"{error.strerror}: {error.filename or ''}")
        except (ValueError, KeyError, TypeError, zlib.error, EOFError) as error:
            response = _failure(400, str(error))
        await _let_arrive(request)
        return response

    return answer


async def _let_arrive(request: Request) -> None:
    """Pass over what is left of a body: who is cut off while sending does not read the answer."""
    with suppress(RuntimeError, ClientDisconnect):  # it was read to its end; nobody waits for the answer
        async for _ in request.stream():
            pass


_FULL = (28, 122, 27)  # ENOSPC, EDQUOT, EFBIG


def _failure(status: int, message: str) -> Response:
    return JSONResponse({"code": status, "message": message}, status)


# ---------------------------------------------------------------- bytes


def _key(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _make_folders(path: str) -> None:
    os.makedirs(path, exist_ok=True)


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != 18:  # EXDEV: another folder of the box, which is a mount of its own
            raise
        shutil.move(source, target)


def _metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the client wants to be kept beside a file.

    Raises:
        _Refused: It is too long, or no printable ASCII.
    """
    found: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower().startswith(_METADATA):
            found.setdefault(name.lower()[len(_METADATA) :], value)
    if any(not _PRINTABLE.fullmatch(name + value) or not name for name, value in found.items()):
        raise _Refused(400, "metadata is printable ASCII")
    if sum(len(name) + len(value) + 9 for name, value in found.items()) > _MOST_METADATA_BYTES:
        raise _Refused(400, f"metadata has at most {_MOST_METADATA_BYTES} bytes")
    return found


async def _pieces(descriptor: int, size: int | None = None) -> AsyncIterator[bytes]:
    """Yield a file's bytes; no more than it had when its size was said."""
    left = size
    try:
        while left is None or left > 0:
            data = os.read(descriptor, _PIECE_BYTES if left is None else min(left, _PIECE_BYTES))
            if not data:
                return
            left = None if left is None else left - len(data)
            yield data
    finally:
        os.close(descriptor)


async def _packed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    async for piece in pieces:
        if data := packer.compress(piece):
            yield data
    yield packer.flush()


def _unpacked(request: Request) -> Request:
    """Return the request with a body as it was before the client packed it."""
    if request.headers.get("content-encoding") != "gzip":
        return request
    pieces = _plain(request)

    async def receive() -> dict[str, Any]:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    return Request(request.scope, receive)


async def _plain(request: Request) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(31)
    async for piece in request.stream():
        while piece:  # piece by piece: the box's memory is small, and a body may unpack to much
            if data := unpacker.decompress(piece, _PIECE_BYTES):
                yield data
            piece = unpacker.unconsumed_tail


async def _of_part(part: Any) -> AsyncIterator[bytes]:
    while piece := await part.read(_PIECE_BYTES):
        yield piece
