"""The live page: an ASGI application that reads the database and changes nothing."""

import threading
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from scheduler.page.charts import load_grammar
from scheduler.page.freshness import RenderedViews
from scheduler.page.rendering import FOLDER, load_templates, render
from scheduler.page.security import Guard
from scheduler.page.view import View
from scheduler.page.views import VIEWS
from shared.errors import SpecError, StoreError
from shared.store.page import load_statements, view_sql
from shared.store.page.state import database_state
from shared.version import code_version

# A script that asks for news of an open page says so.
_REFRESH = "x-refresh"


def create_application(
    engine: Engine, basic_auth: str | None = None, hosts: Collection[str] = ()
) -> Starlette:
    """The page over a database; `engine` should be of a role that may only read.

    `basic_auth`: `user:password` that everybody must give. `hosts`: names of this machine beside localhost.
    """
    load_templates()
    load_statements()
    # Beside, so that it listens at once.
    threading.Thread(target=load_grammar, daemon=True).start()
    rendered = RenderedViews(lambda: database_state(engine))

    def routes_of(view: View) -> list[Route]:
        def show(request: Request) -> Response:
            return _show(engine, rendered, view, request)

        def show_sql(request: Request) -> Response:
            return _show_sql(view, request)

        return [Route(view.path, show, name=view.name), Route(f"/sql/{view.name}", show_sql)]

    return Starlette(
        routes=[
            *(route for view in VIEWS.values() for route in routes_of(view)),
            Route("/healthz", lambda _: PlainTextResponse("ok\n")),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(Guard, basic_auth=basic_auth, hosts=hosts)],
        exception_handlers={
            404: _not_found,
            SpecError: _no_such_thing,
            StoreError: _no_answer,
        },
    )


def live_link(view: str, /, **parameters: object) -> str:
    """The address of a view in the live page."""
    return VIEWS[view].address(parameters) if view in VIEWS else ""


def _show(engine: Engine, rendered: RenderedViews, view: View, request: Request) -> Response:
    parameters = view.parse({**request.query_params, **request.path_params})
    # One address for one content, whatever else was in the one that was asked for.
    address = view.address(parameters)

    def make() -> str:
        context = view.build(view.read(engine, parameters))
        return render("base.html", live_link, {**_frame(view, parameters), **context})

    found = rendered.get(address, make, is_refresh=_REFRESH in request.headers)
    headers = {"ETag": found.tag}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(found.body, headers=headers)


def _show_sql(view: View, request: Request) -> Response:
    parameters = view.parse(request.query_params)
    told = {
        "title": f"The view {view.name} as SQL",
        "body": "as_sql.html",
        "statements": view_sql(view.name, parameters),
        "back": view.address(parameters),
        "is_live": False,
    }
    return HTMLResponse(render("base.html", live_link, {**_frame(None, {}), **told}))


def _frame(view: View | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What `base.html` needs beside the context of a view."""
    return {
        "active": view.name if view else "",
        "body": f"{view.name}.html" if view else "",
        "sql_address": view.sql_address(parameters) if view else "",
        "is_live": True,
        "is_report": False,
        "version": code_version().replace("+", "."),
    }


def _message(status: int, title: str, text: str) -> Response:
    told = {"body": "message.html", "title": title, "text": text, "is_live": status == 503}
    body = render("base.html", live_link, {**_frame(None, {}), **told})
    return HTMLResponse(body, status_code=status)


def _not_found(request: Request, error: Exception) -> Response:
    del error
    return _message(404, "There is no such page", f"Nothing has the address {request.url.path}.")


def _no_such_thing(request: Request, error: Exception) -> Response:
    del request
    return _message(404, "There is no such thing here", str(error))


def _no_answer(request: Request, error: Exception) -> Response:
    del request
    return _message(503, "The database gives no answer now", str(error))
