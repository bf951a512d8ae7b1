# needs: packages=aiohttp network
import asyncio
import os
import aiohttp


async def main():
    async with aiohttp.ClientSession() as session:
        async with session.get(os.environ["URL"] + "/json") as answer:
            return await answer.json()


assert asyncio.run(main()) == {"path": "/json"}
