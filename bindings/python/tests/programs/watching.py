# SPDX-License-Identifier: Apache-2.0
"""Watches tunnels and clients come and go."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import rstream
from rstream import ClientFilters, Event, EventStream, TunnelFilters


def part(event: Event, name: str) -> object:
    assert event.object is not None
    return event.object[name]


async def show(events: EventStream) -> Event:
    event = await anext(events)
    print(event.type, sorted(event.raw), event.id is not None, event.created_at is not None)
    print(event.user_id, event.workspace_id, event.project_id, event.cluster_id, event.raw["type"] == event.type)
    return event


async def main() -> None:
    blue = TunnelFilters(labels={"team": "blue"}, publish=False)
    async with rstream.Client.from_env() as client, await client.connect() as control:
        await control.create_tunnel(name="early", publish=False, labels={"team": "blue"})
        await control.create_tunnel(name="other", publish=False, labels={"team": "red"})
        client_id = (await client.list_clients())[0]["id"]
        own = ClientFilters(id=str(client_id))
        async with client.watch(tunnels=blue, clients=own) as events:
            snapshot = await show(events)
            tunnels, clients = part(snapshot, "tunnels"), part(snapshot, "clients")
            assert isinstance(tunnels, list) and isinstance(clients, list)
            print([tunnel["name"] for tunnel in tunnels], [entry["id"] == client_id for entry in clients])

            late = await control.create_tunnel(name="late", publish=False, labels={"team": "blue"})
            created = await show(events)
            print(part(created, "id") == late.id, part(created, "status"), part(created, "labels"))
            await late.close()
            deleted = await show(events)
            print(part(deleted, "id") == late.id, part(deleted, "status"), isinstance(deleted.object, Mapping))
        print([event async for event in events])
        await events.aclose()

        async for event in client.watch(clients=ClientFilters(os="plan9")):
            print(event.type, part(event, "clients"))
            break

        never = client.watch()
        await never.aclose()
        print([event async for event in never])

        transports: tuple[Literal["sse"], Literal["websocket"]] = ("sse", "websocket")
        ending = [client.watch(tunnels=blue, clients=own, transport=transport) for transport in transports]
        for events in ending:
            await show(events)
        await control.close()
        for events in ending:
            print(sorted([(await show(events)).type for _ in range(2)]))
            await events.aclose()
    try:
        client.watch()
    except rstream.RuntimeError as error:
        print(error.code)


asyncio.run(main())
