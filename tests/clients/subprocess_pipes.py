# needs: programs=sh
import subprocess

first = subprocess.Popen(["sh", "-c", "for n in 3 1 2; do echo $n; done"], stdout=subprocess.PIPE)
second = subprocess.run(["sort"], stdin=first.stdout, capture_output=True, text=True)
first.stdout.close()
assert (first.wait(), second.stdout) == (0, "1\n2\n3\n")
assert subprocess.check_output("echo $((6 * 7)) | tr 4 5", shell=True, text=True) == "52\n"
try:
    subprocess.run(["sh", "-c", "exit 3"], check=True)
except subprocess.CalledProcessError as error:
    assert error.returncode == 3
try:
    subprocess.run(["sh", "-c", "while :; do :; done"], timeout=0.3)
except subprocess.TimeoutExpired:
    print("timed out")
