import asyncio


async def double(x):
    await asyncio.sleep(0.001 * (3 - x))
    return x * 2


async def main():
    queue, seen = asyncio.Queue(), []

    async def producer():
        for n in range(3):
            await queue.put(n)

    async def consumer():
        for _ in range(3):
            seen.append(await queue.get())

    await asyncio.gather(producer(), consumer())
    lock, event = asyncio.Lock(), asyncio.Event()
    async with lock:
        event.set()
    await event.wait()
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.01)
    except asyncio.TimeoutError:
        seen.append("timeout")
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        seen.append("cancelled")
    done, pending = await asyncio.wait([asyncio.ensure_future(double(n)) for n in range(2)])
    seen.append(sorted(t.result() for t in done))
    seen.append(await asyncio.to_thread(lambda: 7))
    seen.append(await asyncio.get_running_loop().run_in_executor(None, len, "abc"))
    for finished in asyncio.as_completed([double(1), double(2)]):
        seen.append(await finished)

    async def numbers():
        for n in range(2):
            yield n

    seen.append([n async for n in numbers()])
    return seen


print(asyncio.run(main()))
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
print(loop.run_until_complete(double(2)), asyncio.get_event_loop() is loop)
loop.close()
with asyncio.Runner() as runner:
    print(runner.run(double(1)))
try:
    asyncio.get_running_loop()
except RuntimeError as error:
    print(error)
