"""Drives a server with the official Python SDK; see typescript.mjs, which does the same."""

import asyncio
import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


def tell(**line):
    print(json.dumps(line), flush=True)


async def call(client, name, arguments, cancel=None):
    progress = []
    with anyio.CancelScope() as scope:

        async def on_progress(done, total, message):
            progress.append(message)
            if cancel and cancel in message:
                scope.cancel()

        try:
            result = await client.call_tool(name, arguments, progress_callback=on_progress)
        except Exception as error:
            return tell(error=str(error), progress=progress)
        return tell(result=result.model_dump(mode="json", by_alias=True, exclude_none=True), progress=progress)
    tell(error="cancelled", progress=progress)


async def main():
    plan = json.loads(sys.argv[1])
    server = StdioServerParameters(command=plan["command"], args=plan["args"], env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        info = client.server_info
        tell(server=info and info.model_dump(mode="json", exclude_none=True), instructions=client.instructions)
        tools = await client.list_tools()
        tell(tools=tools.model_dump(mode="json", by_alias=True, exclude_none=True)["tools"])
        for step in plan["calls"]:
            await call(client, **step)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
