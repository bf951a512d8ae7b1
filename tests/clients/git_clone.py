# needs: programs=git network repository
import os
import subprocess

done = subprocess.run(["git", "clone", "-q", os.environ["URL"] + "/repo.git", "copy"], capture_output=True, text=True)
assert done.returncode == 0, done.stderr
with open("copy/a.txt") as file:
    assert file.read() == "from afar\n"
