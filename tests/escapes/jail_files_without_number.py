# attack: jail/files-without-number
# oracle: disk
# imports: os
# tools:
# source: own
# note: a hundred thousand empty files, folders and links
import os
for n in range(100000):
    for how in (lambda: os.close(os.open(f"f{n}", os.O_CREAT)), lambda: os.mkdir(f"d{n}"), lambda: os.symlink("x" * 200, f"l{n}")):
        try:
            how()
        except OSError:
            pass
