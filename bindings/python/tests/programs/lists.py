# SPDX-License-Identifier: Apache-2.0
"""Lists what is online: tunnels and clients, with filters."""

import asyncio

import rstream
from rstream import ClientFilters, TunnelFilters


async def main() -> None:
    async with rstream.Client.from_env() as client, await client.connect() as control:
        one = await control.create_tunnel(name="one", publish=False, labels={"team": "blue", "tier": "front"})
        two = await control.create_tunnel(name="two", protocol="http", labels={"team": "blue"}, trusted_ips=("::1",))
        names = {one.id: "one", two.id: "two"}

        async def show(limit: int | None = None, **filters: object) -> None:
            found = await client.list_tunnels(filters=TunnelFilters(**filters), limit=limit)  # type: ignore[arg-type]
            print(sorted(filters), sorted(names[entry.properties.id or ""] for entry in found))

        await show()
        await show(labels={"team": "blue", "tier": None})
        await show(labels={"team": "red"})
        await show(publish=True)
        await show(publish=False)
        await show(protocol="http")
        await show(id=one.id)
        await show(name="two")
        await show(hostname=two.properties.hostname)
        await show(status="offline")
        print(len(await client.list_tunnels(limit=1)), len(await client.list_tunnels()))
        entry = (await client.list_tunnels(filters=TunnelFilters(id=two.id)))[0]
        print(entry.status, entry.properties.name, entry.properties.labels, entry.properties.trusted_ips)
        print(entry.properties.type, entry.properties.http_version, entry.properties.publish, entry.raw["labels"])
        print(entry.properties.host == two.properties.host, entry.properties.port == two.properties.port)
        print(entry.properties.creation_date is not None and entry.properties.creation_date.tzinfo is not None)
        clients = await client.list_clients(filters=ClientFilters(id=entry.client_id))
        print(len(clients), clients[0]["id"] == entry.client_id, clients[0]["status"], clients[0]["os"])
        print(
            len(await client.list_clients(filters=ClientFilters(os="plan9"))), len(await client.list_clients(limit=5))
        )
        await control.close()
        print(await client.list_tunnels(), await client.list_clients(filters=ClientFilters(id=entry.client_id)))


asyncio.run(main())
