# needs:
import gzip
import os
import shutil
import tarfile
import tempfile
import zipfile

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "a.txt")
    with open(path, "w") as file:
        file.write("text" * 100)
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "a.txt")
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add(path, "a.txt")
    shutil.make_archive("all", "zip", folder)
with zipfile.ZipFile("a.zip") as archive:
    assert archive.read("a.txt") == b"text" * 100
with tarfile.open("a.tar.gz") as archive:
    archive.extractall("out")
assert os.listdir("out") == ["a.txt"]
assert gzip.decompress(gzip.compress(b"x")) == b"x"
