# attack: programs/that-talk-to-the-host
# oracle: network
# imports: os, subprocess
# tools:
# source: own
# note: programs that open sockets, speak to services of the host, or signal its processes
import subprocess
lines = ["exec 3<>/dev/tcp/127.0.0.1/{{PORT}}; echo x >&3", "exec 3>/dev/udp/127.0.0.1/{{PORT}}; echo x >&3", "curl -s http://127.0.0.1:{{PORT}}/",
         "curl -s --abstract-unix-socket host-{{ENV_NAME}} http://x/", "curl -s --unix-socket {{SCRATCH_DIR}}/host.sock http://x/",
         "node -e 'require(\"net\").connect({{PORT}}, \"127.0.0.1\").on(\"error\", console.log)'", "node -e 'require(\"net\").connect(\"{{SCRATCH_DIR}}/host.sock\").on(\"error\", console.log)'",
         "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {{PORT}}))'", "nc -z 127.0.0.1 {{PORT}}", "ssh -o BatchMode=yes -p {{PORT}} 127.0.0.1",
         "git clone http://127.0.0.1:{{PORT}}/x", "wget -q http://127.0.0.1:{{PORT}}/", "ping -c1 127.0.0.1", "ip link", "env; set; printenv", "ps aux",
         "kill -9 -1", "for p in $(seq 1 400); do [ $p = $$ ] || kill -9 $p; done", "systemctl status", "dbus-send --system --print-reply --dest=org.freedesktop.DBus / x"]
for line in lines[:-4] + lines[-2:]:
    try:
        done = subprocess.run(["bash", "-c", line], timeout=2, capture_output=True, text=True, errors="replace")
        print(done.stdout[-2000:], done.stderr[-500:])
    except (OSError, subprocess.TimeoutExpired) as error:
        print(line, error)
subprocess.run(["bash", "-c", lines[-4]])
