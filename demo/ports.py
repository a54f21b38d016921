"""Ports of 127.0.0.1."""

import socket


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def refuse_taken(port: int) -> None:
    """Raise ``RuntimeError`` when somebody listens on a port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as err:
        raise RuntimeError(
            f"port {port} of 127.0.0.1 is taken: is the demo running already?"
        ) from err
