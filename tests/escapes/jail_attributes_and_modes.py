# attack: jail/attributes-and-modes
# oracle: write-file
# imports: os, ctypes
# tools:
# source: own
# note: modes, owners, times and attributes of the host's files and devices
import os
for path in ("{{SECRET_FILE}}", "{{SCRATCH_DIR}}", "/dev/null", "/dev/zero", "/tmp", "/", os.__file__):
    for how in (lambda: os.chmod(path, 0o4777), lambda: os.chown(path, os.getuid(), -1), lambda: os.utime(path, (0, 0)), lambda: os.utime(path),
                lambda: os.setxattr(path, "user.x", b"x"), lambda: os.truncate(path, 0), lambda: os.mknod(path + "x", 0o20666, 0x101)):
        try:
            how()
        except OSError:
            pass
