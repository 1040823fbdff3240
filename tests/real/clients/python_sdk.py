"""Drives a server with the official Python SDK; see typescript.mjs, which does the same."""

import json
import os
import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client


def tell(**line):
    print(json.dumps(line), flush=True)


def plain(model):
    return model and model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def line():
    return await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


async def cancel_when_told(scope):
    await line()
    scope.cancel()


async def call(client, name, arguments, cancel=False):
    progress = []
    outcome = {"error": "cancelled"}

    async def on_progress(done, total, message):
        progress.append(message)

    async with anyio.create_task_group() as group:
        if cancel:
            group.start_soon(cancel_when_told, group.cancel_scope)
        try:
            result = await client.call_tool(name, arguments, progress_callback=on_progress)
            outcome = {"result": plain(result)}
        except Exception as error:
            outcome = {"error": str(error)}
        group.cancel_scope.cancel()
    tell(**outcome, progress=progress)


async def main():
    plan = json.loads(sys.argv[1])
    # Its own default passes on little more than PATH and HOME.
    server = StdioServerParameters(command=plan["command"], args=plan["args"], env=dict(os.environ))
    async with Client(stdio_client(server), mode=plan["mode"]) as client:
        tell(
            server=plain(client.server_info),
            protocol=client.protocol_version,
            instructions=client.instructions,
        )
        tell(tools=plain(await client.list_tools())["tools"])
        for step in plan["calls"]:
            await call(client, **step)
        await line()


anyio.run(main)
