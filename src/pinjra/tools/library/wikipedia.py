"""WikipediaTool: a topic -> the article about it, by the MediaWiki API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from pinjra.core.errors import ConfigurationError
from pinjra.tools.base import Tool
from pinjra.tools.fetch import Fetcher, FetchFailed
from pinjra.tools.library.markdown import markdown


class WikipediaTool(Tool):
    """Finds the best matching article and returns its summary or text, with the URL.

    Args:
        user_agent: Wikipedia asks for a name and a way to reach you.
        language: Which Wikipedia ("en", "pt-br").
        content_type: "summary" (the first section) or "text" (all of it).
        extract_format: "WIKI" (plain text with headings) or "HTML" (returned as Markdown).
        api_url: Another MediaWiki's `api.php`.
        timeout_seconds: For one search, download and conversion together.
        allow_hosts: As for `VisitWebpageTool`; for a wiki on your own network.
        max_output_length: Longest text returned, in characters.
    """

    name = "wikipedia_search"
    description = "Searches Wikipedia and returns the best matching article as text, with its URL."
    inputs = {"query": {"type": "string", "description": "The topic to look up."}}
    output_type = "string"
    concurrent = True

    def __init__(
        self,
        user_agent: str = "pinjra (https://pypi.org/project/pinjra)",
        language: str = "en",
        content_type: Literal["summary", "text"] = "text",
        extract_format: Literal["WIKI", "HTML"] = "WIKI",
        *,
        api_url: str | None = None,
        allow_hosts: Iterable[str] = (),
        timeout_seconds: float = 20.0,
        max_output_length: int = 40_000,
        resolver: Callable[[str, int], Sequence[str]] | None = None,
    ) -> None:
        if not user_agent.strip():
            raise ConfigurationError("user_agent is empty; Wikipedia wants a name and a way to reach you")
        if not re.fullmatch(r"[a-z]{2,12}(-[a-z]{2,12})*", language):
            raise ConfigurationError(f"language must be a code like 'en' or 'pt-br', not {language!r}")
        if content_type not in ("summary", "text"):
            raise ConfigurationError(f"content_type must be 'summary' or 'text', not {content_type!r}")
        if extract_format not in ("WIKI", "HTML"):
            raise ConfigurationError(f"extract_format must be 'WIKI' or 'HTML', not {extract_format!r}")
        self.content_type = content_type
        self.extract_format = extract_format
        self.max_output_length = max_output_length
        self.timeout_seconds = timeout_seconds
        self.seconds = timeout_seconds + 5.0
        self._api_url = api_url or f"https://{language}.wikipedia.org/w/api.php"
        self._fetcher = Fetcher(
            allow_hosts=allow_hosts,
            user_agent=user_agent,
            resolver=resolver,
            seconds=timeout_seconds,
            max_bytes=8 << 20,
        )

    def forward(self, query: str) -> str:
        """Return title, text and URL of the best match.

        Raises:
            FetchFailed: The API cannot be reached or answers nonsense.
        """
        end = time.monotonic() + self.timeout_seconds
        page = _first_page(self._asked(query))
        if page is None:
            return f"Wikipedia has no article for {query!r}; try other words."
        text = str(page.get("extract", ""))
        text = (
            markdown(text, seconds=end - time.monotonic()) if self.extract_format == "HTML" else text
        ).strip()
        if len(text) > self.max_output_length:
            text = text[: self.max_output_length] + "\n… (cut)"
        return f"# {page.get('title', query)}\n\n{text}\n\nSource: {page.get('fullurl', '')}"

    def _asked(self, query: str) -> dict[str, Any]:
        params = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "generator": "search",
            "gsrsearch": query,
            "gsrlimit": "1",
            "prop": "extracts|info",
            "inprop": "url",
            "redirects": "1",
        }
        if self.extract_format == "WIKI":
            params["explaintext"] = "1"
        if self.content_type == "summary":
            params["exintro"] = "1"
        page = self._fetcher.get(self._api_url, accept="application/json", params=params)
        try:
            answer = json.loads(page.body)
        except (ValueError, RecursionError):
            raise FetchFailed(f"{self._api_url} did not answer in JSON") from None
        if not isinstance(answer, dict) or "error" in answer:
            problem = answer.get("error") if isinstance(answer, dict) else answer
            raise FetchFailed(f"{self._api_url} answered with an error: {str(problem)[:300]}")
        return answer


WikipediaSearchTool = WikipediaTool  # the name that users of this kind of library know


def _first_page(answer: dict[str, Any]) -> dict[str, Any] | None:
    found = answer.get("query")
    pages = found.get("pages") if isinstance(found, dict) else None
    if not isinstance(pages, list) or not pages or not isinstance(pages[0], dict) or pages[0].get("missing"):
        return None
    return pages[0]
