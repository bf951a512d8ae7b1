# needs: packages=httpx network
import asyncio
import os
import httpx


async def main():
    async with httpx.AsyncClient(base_url=os.environ["URL"]) as client:
        answers = await asyncio.gather(*(client.get(f"/json?{n}") for n in range(5)))
        return [answer.json()["path"] for answer in answers]


assert asyncio.run(main()) == [f"/json?{n}" for n in range(5)]
