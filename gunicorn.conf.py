"""The server, for `python root.py` and for `gunicorn root:app`: gevent workers, and their limits.

gunicorn finds this file by itself. Its settings: https://docs.gunicorn.org/en/stable/settings.html
"""

from gevent import monkey

monkey.patch_all()  # before anything imports ssl, threading or pymongo

import gc
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

from app import announce
from app.config import SettingError, Settings
from app.mongodb import indexes
from app.operations import log, metrics
from app.web import limits
from app.web.addresses import to_listen_on
from app.web.worker import Logger, OpenConnections, Worker

try:
    _settings = Settings.from_environ()
except SettingError as error:
    sys.exit(f"box-office: {error}")


def _connections() -> int:
    """Raise the limit of open files as far as useful; return how many connections it allows."""
    useful = 2 * limits.MOST_CONNECTIONS  # half of the files are for MongoDB, the log and so on
    soft, hard = (
        useful if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft < min(useful, hard):
        soft = min(useful, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(limits.MOST_CONNECTIONS, soft // 2)


chdir = str(Path(__file__).parent)
try:
    _addresses = to_listen_on(_settings.host, _settings.port)
except OSError as error:
    sys.exit(f"box-office: HOST={_settings.host} cannot be used: {error.strerror}")
bind = [
    f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
    for _, address in _addresses
]
workers = _settings.workers
worker_class = Worker
worker_connections = _connections()
backlog = limits.BACKLOG

keepalive = limits.HEADER_SECONDS
timeout = 30  # seconds without a heartbeat until a worker is replaced
graceful_timeout = 15  # seconds for the requests under way; MongoDB takes at most 4 s of each
limit_request_line = limits.REQUEST_LINE_BYTES
limit_request_fields = limits.HEADERS
limit_request_field_size = limits.HEADER_BYTES

# The app decides which forwarded headers to believe (TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
control_socket_disable = True

log.configure(_settings.log_level, _settings.log_format)
logger_class = Logger

# The workers share memory. Each has a place in it; a successor takes over its figures.
_places = 2 * workers  # twice as many, for a reload
indexes.server_started_at = time.time()
_table = metrics.shared_table = metrics.SharedTable(rows=_places)
Worker.open_connections = OpenConnections(_places)
_free_places = set(range(_places))


def pre_fork(server: Any, worker: Worker) -> None:
    """Give a new worker a place."""
    worker.place = min(_free_places, default=0)
    _free_places.discard(worker.place)


def post_fork(server: Any, worker: Worker) -> None:
    """Give the worker its row in the table of metrics."""
    _table.row = worker.place


def child_exit(server: Any, worker: Worker) -> None:
    """Free the place of a dead worker."""
    Worker.open_connections.free(worker.place)
    _free_places.add(worker.place)


def when_ready(server: Any) -> None:
    """Say where the service is, and what an operator should know."""
    announce(_settings)
    serving = "Serving %s with %s; open it in a browser, or try: curl %s"
    urls, processes = [*map(str, server.LISTENERS)], f"{workers} worker{'s' * (workers > 1)}"
    logging.getLogger("app").info(serving, " and ".join(urls), processes, urls[0])


def post_worker_init(worker: Worker) -> None:
    """Collect garbage less often: all requests of the process wait for it."""
    gc.collect()
    gc.freeze()  # the app itself is never garbage
    gc.set_threshold(20_000, 20, 20)
