"""The services of one machine: PostgreSQL, Redis, workers, watcher, Flower and the page, supervised."""

from scheduler.machine.endpoints import Endpoints, ServiceStatus
from scheduler.machine.ensure import ensure_services
from scheduler.machine.psql import psql_command
from scheduler.machine.status import database_folder, find_endpoints, services_status, tail_logs
from scheduler.machine.stopping import clean_services, stop_services

__all__ = [
    "Endpoints",
    "ServiceStatus",
    "clean_services",
    "database_folder",
    "ensure_services",
    "find_endpoints",
    "psql_command",
    "services_status",
    "stop_services",
    "tail_logs",
]
