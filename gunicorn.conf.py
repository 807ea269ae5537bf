"""The server, for `python root.py` and for `gunicorn root:app`: gevent workers, and their limits.

gunicorn finds this file by itself. Its settings: https://docs.gunicorn.org/en/stable/settings.html
"""

from gevent import monkey

monkey.patch_all()  # before anything imports ssl, threading or pymongo

import gc
import logging
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import Any

from app import announce
from app.config import SettingError, Settings
from app.operations import log
from app.server import shared
from app.server.worker import Log, Worker
from app.web import limits
from app.web.addresses import to_listen_on

try:
    _settings = Settings.from_environ()
except SettingError as error:
    sys.exit(f"box-office: {error}")


def _connections() -> int:
    """Raise the limit of open files as far as useful; return how many connections it allows."""
    useful = 2 * limits.MAX_CONNECTIONS  # half of the files are for MongoDB, the log and so on
    soft, hard = (
        useful if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft < min(useful, hard):
        soft = min(useful, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(limits.MAX_CONNECTIONS, soft // 2)


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
graceful_timeout = 15  # seconds for the requests in flight; MongoDB takes at most 4 s of each
limit_request_line = limits.REQUEST_LINE_BYTES
limit_request_fields = limits.HEADERS
limit_request_field_size = limits.HEADER_BYTES

# The app decides which forwarded headers to trust (TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
control_socket_disable = True

# In memory, because gunicorn ends when it cannot create a file for a worker's heartbeat.
if os.access("/dev/shm", os.W_OK):  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108

log.configure(_settings.log_level, _settings.log_format)
logger_class = Log

# The workers share a table of metrics; each has a row in it, which its successor takes over.
_ROWS = 256  # untouched memory costs nothing, and there may be more workers than WORKERS (SIGTTIN)
shared.started_at = time.time()
_table = shared.table = shared.SharedTable(_ROWS)
_free_rows = set(range(_ROWS))


def pre_fork(server: Any, worker: Worker) -> None:
    """Give a new worker a row."""
    worker.metrics_row = min(_free_rows)
    _free_rows.discard(worker.metrics_row)


def post_fork(server: Any, worker: Worker) -> None:
    """Have the worker count in its row."""
    _table.use_row(worker.metrics_row)


def child_exit(server: Any, worker: Worker) -> None:
    """Free the row of a dead worker."""
    _free_rows.add(worker.metrics_row)


def when_ready(server: Any) -> None:
    """Log where the service is, and what an operator should know."""
    for listener in server.LISTENERS:
        # Connections inherit it; by default, a client that reads nothing takes megabytes.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.UNREAD_BYTES)
    announce(_settings)
    serving = "Serving %s with %s; open it in a browser, or try: curl %s"
    urls, processes = [*map(str, server.LISTENERS)], f"{workers} worker{'s' * (workers > 1)}"
    logging.getLogger("app").info(serving, " and ".join(urls), processes, urls[0])


def post_worker_init(worker: Worker) -> None:
    """Collect garbage less often: all requests wait for it (p99 of a booking: 54 ms, now 35)."""
    gc.collect()
    gc.freeze()  # the app itself is never garbage
    gc.set_threshold(20_000, 20, 20)
