"""A regular expression and a text -> whether it is found there, within a moment; matched in a process that can be killed.

A pattern of a schema's author and a text of a guest together may take for ever, and hold the interpreter meanwhile.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading

SECONDS = 0.5  # for one text; an ordinary one takes a tenth of a millisecond

_CHILD = """
import json, re, signal, sys
alarm = getattr(signal, "alarm", int)
for line in sys.stdin:
    pattern, text = json.loads(line)
    alarm(5)  # should the host be gone meanwhile
    try:
        found = re.search(pattern, text) is not None
    except Exception:  # a pattern of another dialect says nothing
        found = True
    alarm(0)
    sys.stdout.write("1\\n" if found else "0\\n")
    sys.stdout.flush()
"""


class _Matcher:
    """One child, started when it is first needed, and again after it had to be killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, pattern: str, text: str) -> bool:
        """Return the child's answer; False where it does not come in time."""
        with self._lock:
            child = self._running()
            timer = threading.Timer(SECONDS, child.kill)
            try:
                assert child.stdin is not None and child.stdout is not None  # noqa: S101 (both are pipes)
                timer.start()
                child.stdin.write(json.dumps([pattern, text]) + "\n")
                child.stdin.flush()
                answer = child.stdout.readline()
            except OSError:
                answer = ""
            finally:
                timer.cancel()
            if not answer:
                self._end()
            return answer == "1\n"

    def _running(self) -> subprocess.Popen[str]:
        if self._child is None or self._owner != os.getpid() or self._child.poll() is not None:
            self._child, self._owner = _start(), os.getpid()
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.kill()
            child.communicate()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 (this interpreter, with the lines above)
        [sys.executable, "-I", "-S", "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="ascii",
    )


_matcher = _Matcher()
atexit.register(_matcher.close)


def matches(pattern: str, text: str) -> bool:
    """Return whether `pattern` is found in `text`; False where that cannot be said within `SECONDS`."""
    return _matcher.ask(pattern, text)
