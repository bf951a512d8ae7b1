"""Calls with one large argument, as many at one time as there may be: each copy is the host's memory until its call is over."""

import asyncio

large = bytes(400_000)


async def ask():
    try:
        return await hold(large)  # noqa: F821
    except ValueError as error:
        go()  # noqa: F821
        return str(error)


async def all_at_one_time():
    return await asyncio.gather(*[ask() for _ in range(24)])


sorted(set(map(str, asyncio.run(all_at_one_time()))))
