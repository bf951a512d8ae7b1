"""Calls with one large argument, as many at one time as there may be: each copy is the host's memory until its call is over."""

from concurrent.futures import ThreadPoolExecutor

large = bytes(400_000)


def ask(number):
    try:
        return hold(large)  # noqa: F821
    except ValueError as error:
        go()  # noqa: F821
        return str(error)


with ThreadPoolExecutor(24) as pool:
    found = list(pool.map(ask, range(24)))
sorted(set(map(str, found)))
