"""The policy of the jail, as data. Read it from top to bottom: nothing else decides what a guest may do.

Rules for whoever edits: what is not named here is refused; a new line needs the reason why a Python program (not an
attacker) wants it. The order of `FATAL`, `ALLOWED` and `CHECKED` has no meaning, a name may stand in only one of them
(a test checks that). Numbers of system calls are in `syscalls`, how each mechanism works in the file of its name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# ruff: noqa: SIM905 (a list of names is read more easily without quotes)


@dataclass(frozen=True)
class Arg:
    """A condition on one argument: `(argument & mask)` is one of `values`.

    Args:
        position: 0 to 5.
        wide: All 64 bits count (pointers); else the low 32, which is all that the kernel looks at for these arguments.
    """

    position: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    wide: bool = False


# A system call that is allowed when all conditions of one of the alternatives hold, and refused with EPERM otherwise.
NamedCheck = tuple[tuple[Arg, ...], ...]

# ------------------------------------------------------------------------------------------------- what is promised
# property -> the mechanisms of which one (a tuple: all of it) must be in force for the property to hold
PROPERTIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "syscalls": (("seccomp",),),
    "files": (("landlock files",), ("mount namespace",)),
    "network": (("seccomp",), ("network namespace",)),
    "signals": (("pid namespace",), ("landlock scopes",), ("own uid",)),
    "memory": (("cgroup memory",), ("rlimits",)),
    "processes": (("cgroup pids",), ("rlimits",)),
    "disk": (("scratch tmpfs",),),
    "namespaces": (
        ("mount namespace", "pid namespace", "network namespace", "ipc namespace", "uts namespace"),
    ),
    "cgroup": (("cgroup memory", "cgroup pids"),),
    "landlock": (("landlock files",),),
}
# Without these the jail does not start, whatever the caller says less.
REQUIRED = ("syscalls", "files", "network", "signals")


def holds(wish: str, applied: Collection[str]) -> bool:
    """Return whether a property, or a mechanism by its name, is in force with these mechanisms."""
    return any(set(group) <= set(applied) for group in PROPERTIES.get(wish, ((wish,),)))


def is_confined(applied: Collection[str]) -> bool:
    """Return whether these mechanisms make a boundary of the kernel's."""
    return all(holds(wish, applied) for wish in REQUIRED)


# ---------------------------------------------------------------------------------------------------------- files
# Besides Python's own folders (sys.path, the standard library, where loaded libraries lie) a guest may read:
SYSTEM_READABLE = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",  # extension modules find their libraries by it
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",  # matplotlib, Pillow
    "/usr/share/mime/packages",
    "/etc/mime.types",
)
HOSTS_READABLE = tuple(
    "/etc/ssl/certs /etc/ssl/openssl.cnf /etc/pki/tls/certs /usr/share/ca-certificates".split()
)
NETWORK_READABLE = (*HOSTS_READABLE, "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")
# With programs=: what they read, and where they are looked for behind the machine's own PATH.
PROGRAM_READABLE = tuple(
    """
    /usr/libexec /usr/share /usr/include /usr/local/include /usr/local/share /etc/alternatives /etc/ssl/certs
    /etc/ssl/openssl.cnf /etc/pki/tls/certs /etc/php /etc/R
    """.split()
)
PROGRAM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
# Come with any program: what a line of shell is made of.
BASIC_PROGRAMS = tuple(
    """
    sh env ls cat cp mv rm mkdir rmdir ln touch chmod head tail wc sort uniq cut tr paste join comm fold nl tac rev seq
    grep egrep fgrep sed awk find xargs tee echo printf test [ expr true false yes sleep date basename dirname realpath
    readlink stat du df file mktemp diff cmp patch tar gzip gunzip zcat bzip2 xz zip unzip md5sum sha1sum sha256sum
    base64 od id whoami uname nproc which timeout nohup setsid kill split shuf numfmt install
    """.split()
)
# A named program brings what it starts itself.
BROUGHT_PROGRAMS = {
    "git": ("less", "ssh"),
    "node": ("nodejs",),
    "npm": ("node", "npx"),
    "make": ("gmake",),
    "pip": ("pip3",),
    **dict.fromkeys(("gcc", "g++", "cc", "c++", "clang", "clang++", "rustc", "go"),
                    ("as", "ld", "ar", "ranlib", "nm", "strip", "objcopy", "gcc", "g++", "cc", "c++", "cpp", "make")),
}  # fmt: skip
# SECURITY: these make machine code and run it. Where one is named (or "*"), memory and the scratch folder may be executed: what
# runs then is under the same walls. For all other programs only what lies in the read-only view is ever executed.
MAKES_CODE = frozenset(
    """
    gcc g++ cc c++ clang clang++ tcc rustc cargo go make cmake node nodejs npm npx deno bun java javac mono dotnet julia
    luajit pypy pypy3 php ghc ocaml
    """.split()
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/full")
# A folder of sys.path that is one of these (or above one) is left out and reported: it would show more than a library.
NEVER_READABLE = tuple("/ /etc /home /root /tmp /var /run /proc /sys /dev /boot /mnt /srv".split())

MOUNTS = "/mnt"  # of the view: where the user's folders are

# and HOME, TMPDIR: the scratch folder. Who asks for a name of the user gets one; no list of users is readable.
ENVIRONMENT = {"LANG": "C.UTF-8", "LOGNAME": "guest", "USER": "guest"}

COUNTS = {"newest": "loadavg", "forks": "stat", "most": "sys/kernel/pid_max"}  # of /proc, for the supervisor

SCRATCH_PREFIX = "pinjra-jail-"  # of folders in the host's temporary one, where there is no mount namespace

# ---------------------------------------------------------------------------------------------------- hard limits
SESSIONS = 32  # in one box: the first and those forked off it; each takes seven descriptors of the supervisor (NOFILE)
# name of resource.RLIMIT_x -> value, besides address space, processes and file size, which come from `Limits`
RLIMITS = {
    "CORE": 0,  # a core file would hold the session's memory
    "NOFILE": 256,
    "MEMLOCK": 0,
    "MSGQUEUE": 0,
    "SIGPENDING": 256,
    "RTPRIO": 0,
    "NICE": 0,
}

# -------------------------------------------------------------------------------------------------- system calls
# SECURITY: no Python program makes these; one that is made is an attack, and its process is killed.
FATAL = tuple(
    """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd
    bpf perf_event_open userfaultfd io_uring_enter io_uring_register keyctl add_key request_key
    kexec_load kexec_file_load init_module finit_module delete_module
    mount umount2 pivot_root move_mount open_tree fsopen fsmount fsconfig fspick mount_setattr setns unshare chroot
    open_by_handle_at name_to_handle_at fanotify_init quotactl acct swapon swapoff reboot lookup_dcookie
    iopl ioperm modify_ldt vmsplice settimeofday clock_settime clock_adjtime adjtimex syslog sethostname setdomainname
    """.split()
)

# Flags are behind a pointer, which a filter cannot read: the C library falls back to the older call, libuv (uvloop) to epoll.
NO_SUCH_CALL = ("clone3", "openat2", "io_uring_setup")

# the last two only take rights away: a process of a box may leave less to its children than it has
ALLOWED = tuple(
    """
    read write pread64 pwrite64 readv writev preadv pwritev close close_range lseek dup dup2 dup3
    pipe pipe2 flock fsync fdatasync ftruncate truncate readahead sendfile copy_file_range
    open openat creat stat fstat lstat newfstatat statx access faccessat faccessat2 getdents getdents64 getcwd chdir
    fchdir rename renameat mkdir mkdirat rmdir unlink unlinkat symlink symlinkat link linkat readlink readlinkat
    umask statfs fstatfs fgetxattr flistxattr
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd
    eventfd2 timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4
    munmap mremap msync brk
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getitimer setitimer alarm
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack
    kill tkill tgkill pause restart_syscall pidfd_open pidfd_send_signal
    fork vfork exit exit_group wait4 waitid getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid
    getgroups getpgrp getpgid getsid setpgid setsid set_tid_address set_robust_list rseq
    sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max
    sched_get_priority_min getpriority getrlimit setrlimit getrusage sysinfo uname capget getrandom getcpu
    shutdown getsockopt getsockname getpeername
    landlock_create_ruleset landlock_restrict_self
    """.split()
)

_PROT_EXEC, _PROT_WRITE, _MAP_ANONYMOUS = 4, 2, 0x20
# CLONE_NEW*, PTRACE, PARENT, UNTRACED.
_NAMESPACES_AND_PARENT = 0x7E020000 | 0x00002000 | 0x00008000 | 0x00800000
# SECURITY: MAP_HUGETLB takes from a pool that belongs to the host and that no limit of ours counts; growing mappings
# (MAP_GROWSDOWN) are the old way to run one mapping into another
_MAP_HUGETLB_GROWSDOWN = 0x40000 | 0x100
_MSG_OOB, _RWF_NOWAIT, _RENAME_WHITEOUT = 1, 8, 4
_SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE_MASK, _AF_UNIX, _AF_INET, _AF_INET6 = 1, 5, 0xF, 1, 2, 10

CHECKED: dict[str, NamedCheck] = {
    # threads and forks, but no new namespaces and no child that hides below another parent
    "clone": ((Arg(0, (0,), mask=_NAMESPACES_AND_PARENT),),),
    # SECURITY: no memory that is both made by the guest and executable; libraries are mapped from files
    "mmap": (
        (Arg(2, (0,), mask=_PROT_EXEC), Arg(3, (0,), mask=_MAP_HUGETLB_GROWSDOWN)),
        (
            Arg(2, (_PROT_EXEC,), mask=_PROT_EXEC | _PROT_WRITE),
            Arg(3, (0,), mask=_MAP_ANONYMOUS | _MAP_HUGETLB_GROWSDOWN),
        ),
    ),
    # SECURITY: room that is reserved beyond the end of a file is not bounded by RLIMIT_FSIZE (FALLOC_FL_KEEP_SIZE)
    "fallocate": ((Arg(1, (0,)),),),
    "mprotect": ((Arg(2, (0,), mask=_PROT_EXEC),),),
    # SECURITY: asyncio and multiprocessing want pairs. A datagram pair could be pointed at a socket of the host.
    "socketpair": ((Arg(0, (_AF_UNIX,)), Arg(1, (_SOCK_STREAM,), mask=_SOCK_TYPE_MASK)),),
    # NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED, FREE, DONTFORK DOFORK, (NO)HUGEPAGE, DONTDUMP DODUMP, WIPEONFORK KEEPONFORK,
    # GUARD_INSTALL GUARD_REMOVE. SECURITY: MERGEABLE shares equal pages with other processes, PAGEOUT and COLD work on the
    # libraries' pages that everybody shares: both tell by their timing what others do
    "madvise": ((Arg(2, (0, 1, 2, 3, 4, 8, 10, 11, 14, 15, 16, 17, 18, 19, 102, 103)),),),
    # WAIT WAKE REQUEUE CMP_REQUEUE WAKE_OP WAIT_BITSET WAKE_BITSET, private or not, by either clock.
    # SECURITY: the ones with priority inheritance have been a way into the kernel more than once, and nothing needs them
    "futex": ((Arg(1, (0, 1, 3, 4, 5, 9, 10), mask=0xFFFFFFFF & ~(128 | 256)),),),
    # SECURITY: a read that does not wait tells what is in the cache: which parts of a library others have used
    "preadv2": ((Arg(5, (0,), mask=_RWF_NOWAIT),),),
    "pwritev2": ((Arg(5, (0,), mask=_RWF_NOWAIT),),),
    "fadvise64": ((Arg(3, (0, 1, 2, 3, 5)),),),  # SECURITY: not DONTNEED (4): so does a slow read behind it
    "renameat2": ((Arg(4, (0,), mask=_RENAME_WHITEOUT),),),  # a whiteout is a device node
    # SECURITY: send() is sendto() without an address; an address would reach other sockets. Out-of-band data of Unix
    # sockets was a way into the kernel (CVE-2025-38236), and no Python program sends any.
    "sendto": ((Arg(3, (0,), mask=_MSG_OOB), Arg(4, (0,), mask=0xFFFFFFFFFFFFFFFF, wide=True)),),
    "sendmsg": ((Arg(2, (0,), mask=_MSG_OOB),),),
    "recvfrom": ((Arg(3, (0,), mask=_MSG_OOB),),),
    "recvmsg": ((Arg(2, (0,), mask=_MSG_OOB),),),
    # FIONREAD FIONBIO FIOCLEX FIONCLEX, and what isatty() and os.get_terminal_size() ask: TCGETS TCGETS2 TIOCGWINSZ.
    # SECURITY: TIOCSTI types into the terminal of the host, and drivers are the widest surface of a kernel.
    "ioctl": ((Arg(1, (0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x802C542A, 0x5413)),),),
    # all but F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, which send signals on behalf of the caller
    "fcntl": ((Arg(1, (*range(8), 9, 11, 12, 13, 14, 16, 36, 37, 38, 1030, 1031, 1032, 1033, 1034)),),),
    # PDEATHSIG 1, GET_PDEATHSIG 2, GET_DUMPABLE 3, SET_NAME 15, GET_NAME 16, CHILD_SUBREAPER 36 (+37 get),
    # NO_NEW_PRIVS 38 (+39 get), PR_SET_VMA (names of the C library's arenas); SET_DUMPABLE 4 only to off
    "prctl": (
        (Arg(0, (1, 2, 3, 15, 16, 36, 37, 38, 39, 0x53564D41)),),
        (Arg(0, (4,)), Arg(1, (0,))),
    ),
    "personality": ((Arg(0, (0xFFFFFFFF,)),),),  # asking only: ADDR_NO_RANDOMIZE and READ_IMPLIES_EXEC weaken
    # own limits only: those of another process of the same uid could be lowered
    "prlimit64": ((Arg(0, (0,)),), (Arg(2, (0,), mask=0xFFFFFFFFFFFFFFFF, wide=True),)),
}

# Landlock does not govern a file's mode, owner, times and extended attributes. Where the view of the file system is a
# private, read-only one these touch only what is the guest's or writable to it; without a mount namespace they are refused.
VIEW_ONLY_ALLOWED = tuple(
    """
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat
    getxattr lgetxattr listxattr llistxattr
    """.split()
)

# With a writable folder of the user's, whose files outlive the box and are the user's own. SECURITY: no set-id bit, by whatever
# call gives a mode: on the host it would lend the user's rights (root's, where root runs the box) to whoever starts the file.
_SET_ID, _MAKES_A_FILE = 0o6000, 0o100 | 0o20000000  # O_CREAT, O_TMPFILE
WRITABLE_MOUNT_CHECKED: dict[str, NamedCheck] = {
    "open": ((Arg(1, (0,), mask=_MAKES_A_FILE),), (Arg(2, (0,), mask=_SET_ID),)),
    "openat": ((Arg(2, (0,), mask=_MAKES_A_FILE),), (Arg(3, (0,), mask=_SET_ID),)),
    **dict.fromkeys(("creat", "chmod", "fchmod"), ((Arg(1, (0,), mask=_SET_ID),),)),
    **dict.fromkeys(("fchmodat", "fchmodat2"), ((Arg(2, (0,), mask=_SET_ID),),)),
}

# With hosts (network=[…]). SECURITY: only in a network namespace of its own (`plan` requires one), which has loopback and the
# sockets that the host's gateway listens on, and nothing else: whatever is bound or connected here stays in the box.
LOOPBACK_ALLOWED = ("bind", "listen", "accept", "accept4")
HOSTS_REQUIRED = ("network namespace", "mount namespace")

# With programs=. SECURITY: execve runs files of the view and, with `MAKES_CODE`, of the scratch folder; by Landlock (EXECUTE)
# and by the mounts (noexec), with no_new_privs and nosuid mounts: no set-id bit and no file capability counts. Not
# execveat, which runs what has no name; memfd_create stays refused.
PROGRAM_ALLOWED = tuple(
    "execve arch_prctl membarrier inotify_init1 inotify_add_watch inotify_rm_watch".split()
)
PROGRAM_CHECKED: dict[str, NamedCheck] = {
    # programs written in Rust start others by a pair of packets. SECURITY: connected as a stream is, whatever address is given
    "socketpair": ((Arg(0, (_AF_UNIX,)), Arg(1, (_SOCK_STREAM, _SOCK_SEQPACKET), mask=_SOCK_TYPE_MASK)),),
    # a shell's pipes by name, and no other node
    "mknod": ((Arg(1, (0o010000,), mask=0o170000),),),
    "mknodat": ((Arg(2, (0o010000,), mask=0o170000),),),
    # besides the profile's: PR_GET_SECCOMP 21, PR_CAPBSET_READ 23, PR_SET_TIMERSLACK 29 (30 get), THP_DISABLE 41 (42 get)
    "prctl": (
        (Arg(0, (1, 2, 3, 15, 16, 21, 23, 29, 30, 36, 37, 38, 39, 41, 42, 0x53564D41)),),
        (Arg(0, (4,)), Arg(1, (0,))),
    ),
    # besides the profile's: TIOCGPGRP, TIOCGWINSZ's like are asked by shells on what is no terminal here
    "ioctl": ((Arg(1, (0x541B, 0x5421, 0x5451, 0x5450, 0x5401, 0x802C542A, 0x5413, 0x540F)),),),
}
# With terminals. SECURITY: only of a devpts that is the session's own (there is none without a mount namespace): no terminal of
# the host is in it. Besides what `PROGRAM_CHECKED` has: TCSETS TCSETSW TCSETSF and their second kind, TCFLSH, TIOCSCTTY,
# TIOCSPGRP, TIOCSWINSZ, TIOCNOTTY, TIOCGSID, TIOCGPTN, TIOCSPTLCK, TIOCGPTPEER. Not TIOCSTI, TIOCLINUX, TIOCSETD: line
# disciplines are drivers.
TERMINALS = "/dev/pts"
TERMINAL_CHECKED: dict[str, NamedCheck] = {
    "ioctl": (
        *PROGRAM_CHECKED["ioctl"],
        (Arg(1, (0x5402, 0x5403, 0x5404, 0x540B, 0x540E, 0x5410, 0x5414, 0x5422, 0x5429, 0x5441,
                 0x80045430, 0x40045431, 0x402C542B, 0x402C542C, 0x402C542D)),),
    ),
}  # fmt: skip
# Programs ask whether there is such a thing; a process is not killed for it.
PROGRAM_NO_SUCH_CALL = tuple(
    "io_uring_enter io_uring_register userfaultfd name_to_handle_at perf_event_open".split()
)
MAKES_CODE_CHECKED: dict[str, NamedCheck] = {
    "mmap": ((Arg(3, (0,), mask=_MAP_HUGETLB_GROWSDOWN),),),
    "mprotect": ((Arg(2, (0,), mask=0x03000000),),),  # PROT_GROWSDOWN, PROT_GROWSUP
}

# With network=True
NETWORK_ALLOWED = ("connect",)
NETWORK_CHECKED: dict[str, NamedCheck] = {
    "socket": ((Arg(0, (_AF_INET, _AF_INET6)), Arg(1, (1, 2), mask=_SOCK_TYPE_MASK)),),
    # SO_REUSEADDR, ERROR, SNDBUF, RCVBUF, KEEPALIVE, timeouts of SOL_SOCKET; IPPROTO_TCP; IPPROTO_IPV6's V6ONLY, RECVERR
    # SECURITY: SO_ATTACH_FILTER and its like load programs into the kernel
    "setsockopt": (
        (Arg(1, (1,)), Arg(2, (2, 4, 7, 8, 9, 20, 21, 66, 67))),
        (Arg(1, (6,)), Arg(2, (1, 2, 4, 5, 6, 9, 12, 18))),
        (Arg(1, (41,)), Arg(2, (25, 26))),
        (Arg(1, (0,)), Arg(2, (11,))),
    ),
    "sendto": ((Arg(3, (0,), mask=_MSG_OOB),),),  # with an address: datagrams (name lookups)
    "sendmmsg": ((Arg(3, (0,), mask=_MSG_OOB),),),  # the C library's name lookups
    "recvmmsg": ((Arg(3, (0,), mask=_MSG_OOB),),),
}
