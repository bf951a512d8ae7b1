# attack: jail/own-filters-and-domains
# oracle: write-file
# imports: ctypes
# tools:
# source: own
# note: a filter, a domain or a personality of one's own, laid over the jail's
from pinjra.jail.walls.libc import syscall, buffer

for call in (("seccomp", 1, 8, buffer(bytes(16))), ("seccomp", 2, 0, buffer(bytes(8))), ("prctl", 22, 2, buffer(bytes(16)), 0, 0),
             ("landlock_create_ruleset", buffer((1).to_bytes(8, "little")), 8, 0), ("personality", 0x0400000), ("prctl", 4, 1, 0, 0, 0),
             ("prctl", 47, 2, 21, 0, 0), ("prctl", 28, 0, 0, 0, 0), ("prctl", 35, 1, 0, 0, 0), ("prlimit64", 0, 7, buffer(b"\xff" * 16), None)):
    try:
        syscall(*call)
        print("allowed", call[0])
        open("{{PWN_FILE}}", "w").close()
    except OSError:
        pass
