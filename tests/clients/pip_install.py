# needs: programs=sh network index
import os
import subprocess
import sys

command = [sys.executable, "-m", "pip", "install", "--target", "site", "--no-cache-dir", "--disable-pip-version-check"]
done = subprocess.run(
    [*command, "--index-url", os.environ["URL"] + "/simple/", "tinyone"], capture_output=True, text=True
)
assert done.returncode == 0, done.stderr
sys.path.insert(0, "site")
import tinyone

assert tinyone.answer == 42
