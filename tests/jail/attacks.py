"""What a guest with all of Python and ctypes tries against the kernel's wall: name -> (snippet, what must come of it)."""

from __future__ import annotations

SIGSYS = 31
_CALL = "from pinjra.jail.walls.libc import syscall, buffer\nresult = syscall({})\n"


def _call(arguments: str) -> str:
    return _CALL.format(arguments)


# each must end in an OSError: the kernel said no
REFUSED = {
    "read a file of the host": "result = open('@FOLDER@/secret').read()",
    "read a file by an O_PATH descriptor": (
        "import os\nfd = os.open('@FOLDER@/secret', os.O_PATH)\nresult = os.read(os.open(f'/proc/self/fd/{fd}', 0), 9)"
    ),
    "read /etc/passwd": "result = open('/etc/passwd').read()",
    "read /etc/shadow": "result = open('/etc/shadow').read()",
    "list the home of root": "import os\nresult = os.listdir('/root')",
    "list the root folder's neighbours": "import os\nresult = os.listdir('@FOLDER@')",
    "read the environment of the host": "result = open('/proc/@HOST@/environ').read()",
    "read the environment of process 1": "result = open('/proc/1/environ').read()",
    "read the memory of the host": "result = open('/proc/@HOST@/mem', 'rb').read(1)",
    "read the memory map of process 1": "result = open('/proc/1/maps').read()",
    "write a file of the host": "result = open('@FOLDER@/victim', 'w').write('x')",
    "make a file beside it": "result = open('@FOLDER@/open/pwned', 'w').write('x')",
    "make a folder beside it": "import os\nresult = os.mkdir('@FOLDER@/open/pwned')",
    "make a link beside it": "import os\nresult = os.symlink('/', '@FOLDER@/open/pwned')",
    "remove a file of the host": "import os\nresult = os.unlink('@FOLDER@/victim')",
    "truncate a file of the host": "import os\nresult = os.truncate('@FOLDER@/victim', 0)",
    "change the mode of a file of the host": "import os\nresult = os.chmod('@FOLDER@/victim', 0)",
    "change the times of a file of the host": "import os\nresult = os.utime('@FOLDER@/victim', (0, 0))",
    "write into the library": "import os\nresult = open(os.__file__, 'a')",
    "make a device": "import os, stat\nresult = os.mknod('dev', 0o600 | stat.S_IFCHR, os.makedev(1, 1))",
    "make a socket in the scratch folder": "import os, stat\nresult = os.mknod('sock', 0o600 | stat.S_IFSOCK)",
    "escape by a link in the scratch folder": "import os\nos.symlink('@FOLDER@', 'l')\nresult = open('l/secret').read()",
    "open a TCP socket": "import socket\nresult = socket.create_connection(('127.0.0.1', @TCP@), 2)",
    "send a datagram": (
        "import socket\nresult = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))"
    ),
    "connect to a unix socket": "import socket\nresult = socket.socket(socket.AF_UNIX).connect('@FOLDER@/stream.sock')",
    "connect to an abstract socket": "import socket\nresult = socket.socket(socket.AF_UNIX).connect('\\0pinjra-test-@HOST@')",
    "send to a unix socket by a datagram pair": (
        "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "result = a.sendto(b'x', '@FOLDER@/datagram.sock')"
    ),
    "send to a unix socket by a stream pair": (
        "import socket\na, b = socket.socketpair()\nresult = a.sendto(b'x', '@FOLDER@/datagram.sock')"
    ),
    "open a netlink socket": "import socket\nresult = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "open a vsock": "import socket\nresult = socket.socket(40, socket.SOCK_STREAM)",
    "kill the host": "import os, signal\nresult = os.kill(@HOST@, signal.SIGKILL)",
    "ask whether the host is there": "import os\nresult = os.kill(@HOST@, 0)",
    "stop the host by tgkill": _call("'tgkill', @HOST@, @HOST@, 19"),
    "queue a signal for the host": _call("'rt_sigqueueinfo', @HOST@, 9, buffer(bytes(128))"),
    "lower a limit of the host": _call("'prlimit64', @HOST@, 7, buffer(bytes(16)), None"),
    "lower the priority of the host": "import os\nresult = os.setpriority(os.PRIO_PROCESS, @HOST@, 19)",
    "own a descriptor's signals to the host": (
        "import fcntl, os\nr, w = os.pipe()\nresult = fcntl.fcntl(r, fcntl.F_SETOWN, @HOST@)"
    ),
    "run a program": "import os\nresult = os.execv('/usr/bin/id', ['id'])",
    "run a program by subprocess": "import subprocess\nresult = subprocess.run(['/usr/bin/id'])",
    "run a program by posix_spawn": "import os\nresult = os.posix_spawn('/usr/bin/id', ['id'], {})",
    "run a program from the scratch folder": (
        "import os\nopen('x', 'w').write('#!/bin/sh')\nos.chmod('x', 0o755)\nresult = os.execv('x', ['x'])"
    ),
    "run a program by its descriptor": _call("'execveat', 0, b'', None, None, 0x1000"),
    "become root": "import os\nresult = os.setresuid(0, 0, 0)",
    "take other groups": "import os\nresult = os.setgroups([0])",
    "take capabilities back": _call(
        "'capset', buffer(bytes([34, 5, 8, 32, 0, 0, 0, 0])), buffer(bytes([255] * 24))"
    ),
    "make a thread by clone3": _call("'clone3', buffer(bytes(88)), 88"),
    "set up a ring": _call("'io_uring_setup', 8, buffer(bytes(120))"),
    "make a namespace by clone": _call("'clone', 0x10000000 | 17, 0, 0, 0, 0"),
    "make a child of the parent": _call("'clone', 0x8000 | 17, 0, 0, 0, 0"),
    "change the personality": _call("'personality', 0x0400000"),
    "make anonymous memory executable": "import mmap\nresult = len(mmap.mmap(-1, 4096, prot=7))",
    "make its memory executable later": (
        "import ctypes\nfrom pinjra.jail.walls.libc import syscall\nb = ctypes.create_string_buffer(1 << 16)\n"
        "result = syscall('mprotect', (ctypes.addressof(b) + 4095) & ~4095, 4096, 5)"
    ),
    "run code from a memory file": _call("'memfd_create', b'x', 0"),
    "install a filter of its own": _call("'seccomp', 1, 0, buffer(bytes(16))"),
    "allow itself to be traced": "from pinjra.jail.walls.libc import prctl\nresult = prctl(4, 1)",
    "switch the speculation barriers off": "from pinjra.jail.walls.libc import syscall\n"
    "result = syscall('prctl', 53, 0, 8, 0, 0)",
    "raise a limit again": _call("'prlimit64', 0, 4, buffer(bytes([1] + [0] * 7) * 2), None"),
    "share memory by System V": _call("'shmget', 0, 4096, 0o1600"),
    "make a message queue": _call("'mq_open', b'q', 0o100, 0o600, None"),
    "watch files": _call("'inotify_init1', 0"),
    "lock memory": _call("'mlock', buffer(bytes(4096)), 4096"),
    "type into a terminal": "import fcntl, os\nresult = fcntl.ioctl(os.open('/dev/null', 0), 0x5412, b'x')",
    "send out-of-band data": "import socket\na, b = socket.socketpair()\nresult = a.send(b'x', socket.MSG_OOB)",
    "send out-of-band data by sendmsg": (
        "import socket\na, b = socket.socketpair()\nresult = a.sendmsg([b'x'], [], socket.MSG_OOB)"
    ),
    "receive out-of-band data": "import socket\na, b = socket.socketpair()\nresult = a.recv(1, socket.MSG_OOB)",
    "lend a lock its priority": _call("'futex', buffer(bytes(4)), 6, 0, None, None, 0"),
    "wait for a lock of another priority": _call(
        "'futex', buffer(bytes(4)), 11 | 128, 0, None, buffer(bytes(4)), 0"
    ),
    "use the huge pages of the host": "import mmap\nresult = len(mmap.mmap(-1, 1 << 21, flags=0x40022))",
    "make a mapping that grows": "import mmap\nresult = len(mmap.mmap(-1, 4096, flags=0x122))",
    "merge its pages with those of others": "import mmap\nresult = mmap.mmap(-1, 4096, flags=0x22).madvise(12)",
    "push pages out that others share": "import mmap\nresult = mmap.mmap(-1, 4096, flags=0x22).madvise(21)",
    "ask what is in the page cache": "import os\nresult = os.preadv(os.open(os.__file__, 0), [bytearray(9)], 0, 8)",
    "interrupt all processors": _call("'membarrier', 2, 0, 0"),
    "reserve room beyond the end of a file": (
        "import os\nfrom pinjra.jail.walls.libc import syscall\n"
        "result = syscall('fallocate', os.open('r', os.O_RDWR | os.O_CREAT), 1, 0, 1 << 34)"
    ),
    "leave a whiteout": (
        "open('w', 'w').close()\nfrom pinjra.jail.walls.libc import syscall\n"
        "result = syscall('renameat2', -100, b'w', -100, b'v', 4)"
    ),
    "read an attribute of a file of the host": "import os\nresult = os.getxattr('@FOLDER@/secret', 'user.canary')",
    "list the attributes of a file of the host": "import os\nresult = os.listxattr('@FOLDER@/secret')",
    "touch a device": "import os\nresult = os.utime('/dev/null')",
    "change the mode of a device": "import os\nresult = os.chmod('/dev/null', 0)",
    "load a socket filter": "import socket\na, b = socket.socketpair()\na.setsockopt(1, 26, bytes(16))",
}

# each must kill the process that makes it: no Python program does
KILLED = {
    "trace its parent": _call("'ptrace', 16, 1, 0, 0"),
    "read another process's memory": _call("'process_vm_readv', @HOST@, None, 0, None, 0, 0"),
    "write another process's memory": _call("'process_vm_writev', @HOST@, None, 0, None, 0, 0"),
    "compare kernel objects": _call("'kcmp', 1, @HOST@, 0, 0, 0"),
    "take another process's descriptor": _call("'pidfd_getfd', 0, 0, 0"),
    "mount": _call("'mount', b'none', b'/', None, 0, None"),
    "unmount": _call("'umount2', b'/', 2"),
    "change the root": _call("'pivot_root', b'/', b'/'"),
    "change the root, the old way": _call("'chroot', b'/'"),
    "copy a mount": _call("'open_tree', -100, b'/', 1"),
    "leave its namespaces": _call("'unshare', 0x10000000"),
    "enter others": _call("'setns', 0, 0"),
    "load a program into the kernel": _call("'bpf', 0, None, 0"),
    "use keys of the kernel": _call("'keyctl', 0, -3, 0, 0, 0"),
    "add a key": _call("'add_key', b'user', b'x', b'x', 1, -3"),
    "enter a ring": _call("'io_uring_enter', 0, 0, 0, 0, None, 0"),
    "count events": _call("'perf_event_open', buffer(bytes(120)), 0, -1, -1, 0"),
    "handle page faults itself": _call("'userfaultfd', 0"),
    "open a file by its handle": _call("'open_by_handle_at', -100, buffer(bytes(64)), 0"),
    "set the clock": _call("'clock_settime', 0, buffer(bytes(16))"),
    "load another kernel": _call("'kexec_load', 0, 0, None, 0"),
    "load a module": _call("'init_module', None, 0, b''"),
    "read the kernel's log": _call("'syslog', 3, buffer(bytes(64)), 64"),
    "restart the machine": _call("'reboot', 0xfee1dead, 672274793, 0x89ABCDEF, None"),
    "switch ports on": _call("'iopl', 3"),
}
# only on x86-64: calls of the x32 interface
KILLED_X86 = {
    "call by an x32 number": (
        "import ctypes\nfrom pinjra.jail.walls import libc\nlibc._libc.syscall(ctypes.c_long(0x40000000 | 39))"
    ),
}

# each must work: (snippet, its value); None: any
WORKS = {
    "write to a device and read from one": (
        "with open('/dev/null', 'wb') as f: f.write(b'x')\nopen('/dev/null', 'a').close()\n"
        "result = len(open('/dev/urandom', 'rb').read(4)) + open('/dev/zero', 'rb').read(1)[0]",
        4,
    ),
    "write and read in the scratch folder": (
        "open('f', 'w').write('x' * 10)\nresult = open('f').read()",
        "x" * 10,
    ),
    "make folders and links there": (
        "import os\nos.makedirs('a/b')\nos.symlink('b', 'a/c')\nos.rename('a/c', 'd')\nresult = os.readlink('d')",
        "b",
    ),
    "use a temporary file": ("import tempfile\nresult = tempfile.TemporaryFile().write(b'abc')", 3),
    "run an event loop": ("import asyncio\nresult = asyncio.run(asyncio.sleep(0, 'slept'))", "slept"),
    "run threads": (
        "import threading\nr = []\nt = [threading.Thread(target=r.append, args=(i,)) for i in range(4)]\n"
        "[x.start() for x in t]\n[x.join() for x in t]\nresult = sorted(r)",
        [0, 1, 2, 3],
    ),
    "fork": (
        "import os\np = os.fork()\nif not p: os._exit(7)\nresult = os.waitstatus_to_exitcode(os.waitpid(p, 0)[1])",
        7,
    ),
    "use a pipe of multiprocessing": (
        "import multiprocessing\na, b = multiprocessing.Pipe()\na.send(5)\nresult = b.recv()",
        5,
    ),
    "take random bytes": ("import os, random\nresult = len(os.urandom(8)), random.random() < 1", [8, True]),
    "call a C function": ("import ctypes\nresult = ctypes.CDLL(None).abs(-5)", 5),
    "import a compiled module later": (
        "import _decimal, sqlite3\nresult = sqlite3.sqlite_version > '3'",
        True,
    ),
    "know time zones": ("import zoneinfo\nresult = str(zoneinfo.ZoneInfo('Europe/Rome'))", "Europe/Rome"),
    "see a small environment": (
        "import os\nresult = sorted(os.environ)",
        ["HOME", "LANG", "LOGNAME", "TMPDIR", "USER"],
    ),
    "hold no capability": (
        "from pinjra.jail.walls.libc import syscall, buffer\nb = buffer(bytes(24))\n"
        "syscall('capget', buffer(bytes([34, 5, 8, 32, 0, 0, 0, 0])), b)\nresult = b.raw.hex()",
        "00" * 24,
    ),
    "be under no_new_privs": ("from pinjra.jail.walls.libc import prctl\nresult = prctl(39)", 1),
    "not be dumpable": ("from pinjra.jail.walls.libc import prctl\nresult = prctl(3)", 0),
    "leave no core file": ("import resource\nresult = resource.getrlimit(resource.RLIMIT_CORE)", [0, 0]),
    "not be root": ("import os\nresult = 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid())", False),
    "have no descriptor but the three standard ones, the stream, and the pipe of this test": (
        "import os\ndef is_open(fd):\n    try: os.fstat(fd)\n    except OSError: return False\n    return True\n"
        "result = sum(map(is_open, range(256)))",
        5,
    ),
}
