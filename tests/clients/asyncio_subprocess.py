# needs: programs=sh
import asyncio


async def main():
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", "read x; echo got $x", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(b"it\n")
    return out


assert asyncio.run(main()) == b"got it\n"
