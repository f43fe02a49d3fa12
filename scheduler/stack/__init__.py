"""The docker-compose stack: `python3 -m scheduler.stack COMMAND`.

It needs Docker and the standard library alone, so that a server that only runs containers builds no .venv.
"""
