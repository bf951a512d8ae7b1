# needs: packages=websockets network
import asyncio
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(socket):
    async for text in socket:
        await socket.send(text)


async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as socket:
            await socket.send("hello")
            return await socket.recv()


assert asyncio.run(main()) == "hello"
