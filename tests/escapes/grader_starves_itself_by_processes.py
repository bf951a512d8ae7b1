"""Starts processes that compute, in sessions of their own, so that its first one seems to find no processor."""

import os
import time

for _ in range(16):
    if os.fork() == 0:
        os.setsid()
        while True:
            pass
while True:
    end = time.process_time() + 0.001
    while time.process_time() < end:
        pass
    time.sleep(0.01)
