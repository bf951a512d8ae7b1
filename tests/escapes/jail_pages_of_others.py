# attack: jail/pages-of-others
# oracle: leak
# imports: os, ftplib
# tools:
# source: own
# note: throws a library's pages out of the cache that all share, to see later by the time of a read whether somebody has used it
import ftplib
import os

with open(ftplib.__file__, "rb") as file:
    for advice in range(8):
        try:
            os.posix_fadvise(file.fileno(), 0, 0, advice)
            print("advice", advice)
        except OSError as error:
            print(advice, error.errno)
