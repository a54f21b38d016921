"""What tests on a real Home Assistant share, whether they click or call."""

import pytest
import pytest_socket

from demo.home_assistant import HASS


@pytest.fixture
def verify_cleanup() -> None:
    """Let what serves many tests go on between them, unlike the plugin's own."""


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """Open the sockets that the plugin closes before every test."""


def open_home() -> None:
    """Skip where no Home Assistant is; open sockets for a fixture made before a test's own."""
    if not HASS.exists():
        pytest.skip("Home Assistant is not installed; scripts/setup run installs it")
    pytest_socket.enable_socket()
