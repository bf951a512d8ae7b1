# needs: packages=aiohttp network
import asyncio
import aiohttp
from aiohttp import web


async def main():
    app = web.Application()
    app.router.add_get("/", lambda request: web.json_response({"ok": True}))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
        found = await answer.json()
    await runner.cleanup()
    return found


assert asyncio.run(main()) == {"ok": True}
