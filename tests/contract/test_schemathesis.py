"""The live service keeps to its OpenAPI document, no matter what it is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.running import HOST, running_service

EXAMPLES = 250  # of each operation that takes any data
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


def test_generated_requests_get_documented_responses(tmp_path: Path) -> None:
    with running_service(tmp_path, environ={"LOG_LEVEL": "error"}) as service:
        command = [
            *(str(Path(sys.executable).parent / "schemathesis"), "run"),
            f"http://{HOST}:{service.port}/openapi.json",
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES)),
            *("--seed", "20"),
            "--no-color",
            "--continue-on-failure",
        ]
        finished = subprocess.run(command, cwd=tmp_path, check=False)
    assert finished.returncode == 0
