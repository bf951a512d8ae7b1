# attack: e2b/terminals
# oracle: service
# imports: os, fcntl
# tools:
# source: own
# note: runs in a sandbox: terminals of its own exist; typing for others, line disciplines and the console stay refused
import errno, fcntl, os, struct, termios
master, slave = os.openpty()
print("own", os.isatty(slave))
ALLOWED = {
    "TIOCSTI": (0x5412, b"x"),
    "TIOCSETD": (0x5423, struct.pack("i", 3)),
    "TIOCCONS": (0x541D, b""),
    "TIOCLINUX": (0x541C, b"\x02" + b"\0" * 40),
    "KDSETMODE": (0x4B3A, 1),
    "TIOCSSERIAL": (0x541F, b"\0" * 72),
    "TIOCPKT": (0x5420, struct.pack("i", 1)),
    "TIOCVHANGUP": (0x5437, 0),
}
for name, (number, argument) in ALLOWED.items():
    for descriptor in (master, slave):
        try:
            fcntl.ioctl(descriptor, number, argument)
            print("ALLOWED", name)
        except OSError as error:
            print("refused", name, errno.errorcode[error.errno])
print("seen", sorted(os.listdir("/dev/pts")))
for other in ("/dev/tty0", "/dev/tty1", "/dev/console", "/dev/ttyS0", "/dev/pts/ptmx"):
    try:
        print("opened", other, os.open(other, os.O_RDWR | os.O_NOCTTY) >= 0)
    except OSError as error:
        print(other, error.strerror)
many = []
try:
    while len(many) < 500:
        many.append(os.openpty())
except OSError as error:
    print("at most", len(many), error.strerror)
