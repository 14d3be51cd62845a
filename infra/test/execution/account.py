"""Accounts of AWS by MiniStack, on loopback and for as long as they are needed."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(folder):
    """An account without anything in it: its endpoint. Its log stands in the folder."""
    port = free_port()
    # On loopback only, and without the listener for devices, which would not be.
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0"}
    program, path = Path(sys.executable).with_name("ministack"), Path(folder, "ministack.log")
    with open(path, "wb") as log:
        server = subprocess.Popen([program], cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline and server.poll() is None, path.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def client(endpoint, service):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
