"""Every limit of a request and of a connection; the server's are set in `gunicorn.conf.py`.

What a field may hold is in the schemas, and how many requests an address may send in `RATE_LIMIT`.
"""

# The body
MAX_BODY_BYTES = 16 * 1024
# Read at most this much of a body: one byte above the limit shows that it is too long.
MAX_BYTES_READ = MAX_BODY_BYTES + 1
TRAILERS_BYTES = 8 * 1024  # all of them together; they are ignored
MAX_CHUNKS = 250  # of a body whose length is not known
UNKNOWN_FIELDS_NAMED = 20  # in an error; clients may send thousands
BODY_SECONDS = 10  # for the whole body to arrive

# The headers
REQUEST_LINE_BYTES = 8190
HEADERS = 100
HEADER_BYTES = 16380  # of each
ALL_HEADERS_BYTES = 64 * 1024  # and the request line
HEADER_SECONDS = 10  # for all headers to arrive, and between two requests

# The connection
READER_SECONDS = 30  # for a client to take a response, or the next part of a file
UNREAD_BYTES = 64 * 1024  # of a response, waiting for the client; the kernel doubles it
LINGER_SECONDS = 1  # for a client to read why it was refused
MAX_CONNECTIONS = 4096  # to each worker
BACKLOG = 4096  # connections that wait to be accepted
