"""A URL from a model -> the bytes of a public page, with every size, time and hop bounded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinjra.core.errors import ConfigurationError, PinjraError, ToolRefused

if TYPE_CHECKING:
    import ssl

    import httpcore
    import httpx

    from pinjra.tools.network import Deadline, Resolver

_TIMEOUTS = dict.fromkeys(("connect", "read", "write"), 5.0)  # seconds for one operation, within the whole
_ENCODINGS = {"gzip", "x-gzip", "deflate"}
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{2,40})""", re.IGNORECASE)
# The encodings of the web (WHATWG). Python knows more, some of them with costs that grow with the square of the text.
_CHARSETS = re.compile(
    r"utf-?8|utf-?16(-?[lb]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d{1,2}|windows-?\d{3,4}|cp-?\d{3,4}|koi8-?[ru]"
    r"|gb2312|gbk|gb18030|big5(-hkscs)?|shift[_-]?jis|sjis|euc-?(jp|kr)|iso-?2022-jp|mac-?roman|tis-?620"
)


class FetchFailed(PinjraError):
    """The page's fault: it is not there, not readable, too slow or answers nonsense. The message is for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was fetched.

    Args:
        url: Where it was found, after redirects.
        media_type: Without parameters, lower case ("text/html").
        charset: What the Content-Type header says, or "".
        is_cut: There was more than the limit.
    """

    url: str
    media_type: str
    charset: str
    body: bytes = field(repr=False)
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Return the body as text by its header, its own `<meta charset>`, or as UTF-8."""
        found = _CHARSET.search(self.body[:4096])
        for name in (self.charset, found[1].decode("ascii") if found else ""):
            if _CHARSETS.fullmatch(name.lower()):
                try:
                    return self.body.decode(name, "replace")
                except LookupError:  # a number that Python has no table for
                    continue
        return self.body.decode("utf-8", "replace")


@dataclass(eq=False, kw_only=True)
class Fetcher:
    """Fetches pages by GET from public addresses and from `allow_hosts`. May be used by several threads.

    Args:
        allow_hosts: Hosts that may be visited wherever they are: "host" or "host:port".
        resolver: Host and port → addresses, instead of the system's.
        seconds: For everything together: names, redirects, headers, body.
        max_bytes: Of the body, before and after decompression; more is cut.
        redirects: Followed in a row.
    """

    allow_hosts: Iterable[str] = ()
    user_agent: str = "pinjra"
    resolver: Resolver | None = None
    seconds: float = 20.0
    max_bytes: int = 2 << 20
    redirects: int = 5

    def __post_init__(self) -> None:
        if isinstance(self.allow_hosts, str):
            raise ConfigurationError(f"allow_hosts is one text; write ({self.allow_hosts!r},)")
        self._allowed = frozenset(_host_name(host) for host in self.allow_hosts)
        self._ssl_context: ssl.SSLContext | None = None

    def get(self, url: str, *, accept: str = "*/*", params: Mapping[str, str] | None = None) -> Page:
        """Return the page at `url`, following redirects; each hop's address is checked.

        Raises:
            ToolRefused: The URL is no http(s) URL, or leads to an address that is not public.
            FetchFailed: The page cannot be had.
        """
        import httpcore
        import httpx

        from pinjra.tools.network import Deadline

        deadline = Deadline(self.seconds)
        target = _parsed(url)
        try:
            if params:
                target = target.copy_merge_params(params)
            return self._follow(target, deadline, {"User-Agent": self.user_agent, "Accept": accept})
        except httpx.InvalidURL as error:
            # Seen late: some of httpx's checks come with the first use of a URL.
            raise ToolRefused(f"{url[:200]!r} is or leads to what is no URL: {error}") from None
        except httpcore.TimeoutException as error:
            raise FetchFailed(f"{url} was not read within {self.seconds:g} seconds ({error})") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise FetchFailed(f"{url} cannot be read: {str(error) or type(error).__name__}") from None

    def _follow(self, target: httpx.URL, deadline: Deadline, headers: dict[str, str]) -> Page:
        for _ in range(self.redirects + 1):
            found = self._one(target, deadline, headers)
            if isinstance(found, Page):
                return found
            target = found
        raise FetchFailed(f"more than {self.redirects} redirects; the last one led to {target}")

    def _one(self, target: httpx.URL, deadline: Deadline, headers: dict[str, str]) -> Page | httpx.URL:
        """Return the page, or where it sends us."""
        import httpcore
        import httpx

        from pinjra.tools.network import CheckedBackend

        if self._ssl_context is None:
            self._ssl_context = httpx.create_ssl_context()
        sent = {**headers, "Host": target.netloc.decode("ascii"), "Accept-Encoding": "gzip"}
        where = httpcore.URL(
            scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
        )
        # SECURITY: no proxy, which would resolve the name itself, unchecked.
        backend = CheckedBackend(deadline, self._allowed, self.resolver)
        with (
            httpcore.ConnectionPool(ssl_context=self._ssl_context, network_backend=backend) as pool,
            pool.stream("GET", where, headers=[*sent.items()], extensions={"timeout": _TIMEOUTS}) as answer,
        ):
            told = httpx.Headers(answer.headers)
            if answer.status in (301, 302, 303, 307, 308) and told.get("location"):
                return _parsed(told["location"], target)
            if answer.status >= 400:
                reason = answer.extensions.get("reason_phrase", b"").decode("ascii", "replace")
                raise FetchFailed(f"{target} answered {answer.status} {reason}".rstrip())
            body, is_cut = _read(answer, target, told.get("content-encoding", ""), self.max_bytes)
            media_type, _, rest = told.get("content-type", "").partition(";")
            charset = re.search(r"charset\s*=\s*\"?([\w:.-]{1,40})", rest, re.IGNORECASE)
            return Page(
                url=str(target),
                media_type=media_type.strip().lower(),
                charset=charset[1] if charset else "",
                body=body,
                is_cut=is_cut,
            )


def _parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    import httpx

    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise ToolRefused(f"{text[:200]!r} is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ToolRefused(f"only http:// and https:// pages can be visited, not {str(text)[:200]!r}")
    if url.userinfo:
        raise ToolRefused("URLs with a user name or password in them cannot be visited")
    return url.copy_with(fragment=None)


def _host_name(host: str) -> str:
    if "/" in host or not host:
        raise ConfigurationError(f"allow_hosts wants 'host' or 'host:port', not {host!r}")
    return host.lower()


def _read(answer: httpcore.Response, url: httpx.URL, encoding: str, limit: int) -> tuple[bytes, bool]:
    """Return at most `limit` bytes of the decompressed body, and whether there was more."""
    encoding = encoding.strip().lower()
    if encoding in ("identity", ""):
        decompress = None
    elif encoding in _ENCODINGS:
        decompress = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # a gzip or a zlib header, whichever comes
    else:
        raise FetchFailed(f"{url} came compressed by {encoding[:40]!r}, which was not asked for")
    parts: list[bytes] = []
    read = size = 0
    for chunk in answer.iter_stream():
        read += len(chunk)
        try:
            # SECURITY: max_length bounds what a decompression bomb may become, chunk by chunk.
            part = chunk if decompress is None else decompress.decompress(chunk, limit + 1 - size)
        except zlib.error as error:
            raise FetchFailed(f"{url} is damaged: {error}") from None
        parts.append(part)
        size += len(part)
        if size > limit or read > limit:
            return b"".join(parts)[:limit], True
        if decompress is not None and decompress.eof:
            break
    return b"".join(parts), False
