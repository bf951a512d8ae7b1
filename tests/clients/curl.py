# needs: programs=curl network
import os
import subprocess

done = subprocess.run(["curl", "-sSf", os.environ["URL"] + "/json"], capture_output=True, text=True)
assert (done.returncode, done.stdout) == (0, '{"path": "/json"}'), done.stderr
