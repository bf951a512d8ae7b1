"""Starts threads that compute, so that the one that measures its time finds no processor, and sleeps meanwhile."""

import threading
import time


def compute():
    while True:
        pass


for _ in range(16):
    threading.Thread(target=compute, daemon=True).start()
while True:
    time.sleep(0.01)
