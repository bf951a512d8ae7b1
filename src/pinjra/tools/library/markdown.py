"""HTML from anywhere -> Markdown, in bounded time and memory.

Python's HTML parser takes time that grows with the square of some inputs: 60 kB of "<a " take 40 seconds on a small
machine, and nothing can stop a thread that is in it; and of 4 kB of nested tables 50 MB of Markdown are made. So pages
are converted in a child process that can be killed; what it does not finish, and what is nested deeper than the converter
can follow, is given as plain text, by a scan that is linear.
"""

from __future__ import annotations

import html
import os
import re
import sys

_MEMORY_BYTES = 1 << 30
_CPU_SECONDS = 600  # should nobody be there any more who kills it
_MARKDOWN_CHARACTERS = 16 << 20  # read of what the child makes: eight times the largest page
_UNREAD = re.compile(r"(script|style|noscript|template|svg)\b", re.IGNORECASE)


def markdown(source: str, *, seconds: float = 10.0) -> str:
    """Return the page's content as Markdown, or as plain text where it cannot be converted in `seconds`."""
    return _tidy(_convert_in_child(source, seconds) or plain_text(source))


def plain_text(source: str) -> str:
    """Return the text between the tags; one pass, no backtracking."""
    parts: list[str] = []
    skipped = ""
    for index, piece in enumerate(source.split("<")):
        tag, closed, text = piece.partition(">") if index else ("", ">", piece)
        if not closed:
            text = ""
        if skipped:
            if not tag.lower().startswith("/" + skipped):
                continue
            skipped = ""
        elif found := _UNREAD.match(tag):
            skipped = "" if tag.endswith("/") else found[1].lower()
            continue
        parts.append(text)
    return html.unescape("\n".join(part for part in parts if part.strip()))


def main() -> None:
    """Convert standard input to standard output; the child process's whole work."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    source = sys.stdin.buffer.read().decode("utf-8", "replace")
    sys.stdout.buffer.write(_convert(source)[:_MARKDOWN_CHARACTERS].encode("utf-8", "replace"))


def _convert(source: str) -> str:
    from markdownify import markdownify

    try:
        return str(markdownify(source, heading_style="ATX"))
    except (RecursionError, AssertionError, ValueError):  # too deep, or marked up as no parser expects
        return ""


def _convert_in_child(source: str, seconds: float) -> str:
    import subprocess

    # packed into a program: there is no Python to start
    if not sys.executable or getattr(sys, "frozen", False):
        return ""
    # This very file, without the package around it: it starts in half the time. -P: its folder is no place to import from.
    command = [sys.executable, "-S", "-P", __file__]
    environment = {key: os.environ[key] for key in ("SYSTEMROOT", "TEMP") if key in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and code; the page goes by standard input)
            command,
            input=source.encode("utf-8", "replace"),
            capture_output=True,
            timeout=max(seconds, 0.1),
            env=environment,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub("\n{3,}", "\n\n", lines)


if __name__ == "__main__":
    main()
