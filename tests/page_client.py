"""Asks the page as a browser does, without a socket."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy import Engine

from scheduler.page.application import create_application


class PageClient:
    """Answers of the application over a database; `auth` is `(user, password)`."""

    def __init__(self, engine: Engine, basic_auth: str | None = None, host: str = "localhost") -> None:
        self._transport = httpx.ASGITransport(create_application(engine, basic_auth))
        self._base = f"http://{host}"

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=self._base) as client:
                return await client.request(method, path, headers=headers, auth=auth)

        # A thread of its own: the browser tests of the same process leave a loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(ask())).result()

    def get(
        self, path: str, headers: dict[str, str] | None = None, auth: tuple[str, str] | None = None
    ) -> httpx.Response:
        return self.request("GET", path, headers, auth)
