"""A regular expression and a text -> whether it is found there, within a moment; matched in a process of its own.

A pattern of a schema's author and a text of a guest together may take for ever, and hold the interpreter meanwhile.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading

from pinjra.core.thread_time import charge

SECONDS = 0.5  # of processor time, for one text; an ordinary one takes a tenth of a millisecond

# The signal of a timer, or the thread of faulthandler where there are none (Windows), ends the process in the middle of a match.
# It counts from when a text has come, and the processor's time: neither the start of Python nor a busy machine is charged.
_CHILD = """
import faulthandler, json, os, re, signal, sys, time
def limit(seconds):
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
    else:
        faulthandler.cancel_dump_traceback_later()
nowhere = open(os.devnull, "w")
if hasattr(signal, "setitimer"):  # whatever whoever started it has done with the signal
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
for line in sys.stdin:
    pattern, text, seconds = json.loads(line)
    began = time.process_time()
    limit(seconds)
    try:
        found = re.search(pattern, text) is not None
    except Exception:  # a pattern of another dialect says nothing
        found = True
    limit(0)
    sys.stdout.write(f"{found:d} {time.process_time() - began}\\n")
    sys.stdout.flush()
"""


class _Matcher:
    """One child, started when it is first needed, and again after its time was over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._owner = 0

    def ask(self, pattern: str, text: str) -> tuple[bool, float]:
        """Return the child's answer and its processor time; False where that was over."""
        with self._lock:
            child = self._running()
            assert child.stdin is not None and child.stdout is not None  # noqa: S101 (both are pipes)
            try:
                child.stdin.write(json.dumps([pattern, text, SECONDS]) + "\n")
                child.stdin.flush()
                answer = child.stdout.readline()
            except OSError:
                answer = ""
            if not answer:
                self._end()
                return False, SECONDS
            found, seconds = answer.split()
            return found == "1", float(seconds)

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


def matches(pattern: str, text: str) -> tuple[bool, float]:
    """Return whether `pattern` is found in `text`, and the seconds that took; False where they are more than `SECONDS`.

    They are charged to this thread: the guest pays for them.
    """
    found, seconds = _matcher.ask(pattern, text)
    charge(seconds)
    return found, seconds
