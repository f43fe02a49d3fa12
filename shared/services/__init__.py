"""The services of one machine: PostgreSQL, Redis, workers, watcher and Flower, under a supervisor."""

from shared.services.cores import count_cores
from shared.services.endpoints import Endpoints, ServiceStatus
from shared.services.ensure import ensure_services
from shared.services.psql import psql_command
from shared.services.status import find_endpoints, services_status, tail_logs
from shared.services.stopping import clean_services, stop_services

__all__ = [
    "Endpoints",
    "ServiceStatus",
    "clean_services",
    "count_cores",
    "ensure_services",
    "find_endpoints",
    "psql_command",
    "services_status",
    "stop_services",
    "tail_logs",
]
