"""What the tests of the simulated meters share: a clock to turn, a car, both Modbus clients."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from modbus_connection import ModbusSerialParams, ModbusTcpParams, ModbusUnit
from modbus_connection.pymodbus import ModbusConnection as PymodbusConnection
from modbus_connection.tmodbus import ModbusConnection as TmodbusConnection
import pytest

from simulators.car import Car
from simulators.line import SerialLine

type Connect = Callable[..., AbstractAsyncContextManager[Callable[[int], ModbusUnit]]]


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """Let every test here open sockets on 127.0.0.1."""


class TurnedClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


@pytest.fixture
def clock() -> TurnedClock:
    """A clock to turn by hand."""
    return TurnedClock()


@pytest.fixture
def car(clock: TurnedClock) -> Car:
    """A plugged-in car without current, on the clock turned by hand."""
    return Car(clock=clock)


@pytest.fixture(
    params=[TmodbusConnection, PymodbusConnection], ids=["tmodbus", "pymodbus"]
)
def connect(request: pytest.FixtureRequest) -> Connect:
    """Connect with either client; what comes out gives a unit for an address."""

    @asynccontextmanager
    async def connected(
        where: SerialLine | ModbusTcpParams | ModbusSerialParams, timeout_s: float = 1.0
    ) -> AsyncIterator[Callable[[int], ModbusUnit]]:
        params = (
            ModbusSerialParams(device=where.path, baudrate=where.baud_rate)
            if isinstance(where, SerialLine)
            else where
        )
        connection = request.param(params, timeout=timeout_s)
        try:
            yield connection.for_unit
        finally:
            await connection.close()

    return connected
