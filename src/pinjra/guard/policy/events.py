"""Audit events of the interpreter that are refused where no wall stands behind the guest. Data only (see `audit`)."""

from __future__ import annotations

_FAMILIES = """
ctypes ensurepip ftplib imaplib msvcrt nntplib poplib pty resource smtplib subprocess syslog telnetlib
webbrowser winreg _winapi _posixsubprocess
"""
FAMILIES = frozenset(_FAMILIES.split())
"""Everything before the first dot of an event: processes, other machines, the memory of the process."""

_EVENTS = """
os.exec os.fork os.forkpty os.kill os.killpg os.posix_spawn os.spawn os.startfile os.startfile/2 os.system
signal.pthread_kill sys.addaudithook sys.remote_exec
socket.bind socket.connect socket.getaddrinfo socket.gethostbyaddr socket.gethostbyname socket.sendmsg socket.sendto
"""
EVENTS = frozenset(_EVENTS.split())
"""Single events: processes, signals to others, sockets."""

FILES: dict[str, tuple[tuple[int, bool], ...]] = {
    "open": ((0, False),),
    "os.chmod": ((0, True),),
    "os.chown": ((0, True),),
    "os.chflags": ((0, True),),
    "os.link": ((0, True), (1, True)),
    "os.listdir": ((0, False),),
    "os.listxattr": ((0, False),),
    "os.getxattr": ((0, False),),
    "os.mkdir": ((0, True),),
    "os.remove": ((0, True),),
    "os.removexattr": ((0, True),),
    "os.rename": ((0, True), (1, True)),
    "os.rmdir": ((0, True),),
    "os.scandir": ((0, False),),
    "os.setxattr": ((0, True),),
    "os.symlink": ((0, True), (1, True)),
    "os.truncate": ((0, True),),
    "os.utime": ((0, True),),
    "os.chdir": ((0, True),),
    "shutil.rmtree": ((0, True),),
    "sqlite3.connect": ((0, True),),
}
"""Event -> (position of a path, whether it is written). What `open` does is in its mode and flags."""
