"""Wheels of people who mean harm, written into a folder: names and paths that lead out of it, or without end, links, devices, none at all.

python wheels_that_lead_out.py FOLDER
"""

import stat
import sys
import zipfile
from pathlib import Path

NAMES = (
    "../evil.py",
    "a/../../evil.py",
    "/etc/evil.py",
    "a\\..\\evil.py",
    "C:evil.py",
    "x.data/purelib/../../evil.py",
    "x.data/../../evil.py",
    "./../evil.py",
    "a//../../evil.py",
    "a/" * 1500 + "evil.py",
)
KINDS = (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)


def wheel(folder, number, name, kind=0, text="evil"):
    with zipfile.ZipFile(folder / f"evil{number}-1.0-py3-none-any.whl", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name  # as it stands: the constructor would make it harmless
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, text)


def main(folder):
    for number, name in enumerate(NAMES):
        wheel(folder, number, name)
    for number, kind in enumerate(KINDS, start=100):
        wheel(folder, number, "evil", kind, "/etc/passwd")
    (folder / "evil200-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 not a zip")


main(Path(sys.argv[1]))
