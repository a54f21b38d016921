"""The command line: the ready line, both meters in reach, nothing left behind."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import json
from pathlib import Path
import signal
import sys
from typing import Any

import aiohttp
from modbus_connection import ModbusSerialParams, ModbusTcpParams
from modbus_connection.tmodbus import ModbusConnection
import pytest

ROOT = Path(__file__).parents[2]


async def start(*arguments: str) -> Process:
    """Start the simulators as a process of their own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *arguments,
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )


@asynccontextmanager
async def running(
    *arguments: str, end: signal.Signals = signal.SIGTERM
) -> AsyncIterator[dict[str, Any]]:
    """Run the simulators and give what their ready line says; nothing more may follow."""
    process = await start(*arguments)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        assert line, await process.communicate()
        yield json.loads(line)
    finally:
        process.send_signal(end)
        async with asyncio.timeout(10):
            output, errors = await process.communicate()
    assert (output, errors, process.returncode) == (b"", b"", 0)


def assert_gone(path: str) -> None:
    """Assert that neither the line's link nor its folder stays."""
    assert not Path(path).is_symlink()
    assert not Path(path).parent.exists()


async def energy_wh(path: str) -> int:
    """Return the imported energy of the DCT1 on this line."""
    connection = ModbusConnection(
        ModbusSerialParams(device=path, baudrate=9600), timeout=1
    )
    words = await connection.for_unit(1).read_input_registers(0x0800, 10)
    await connection.close()
    return int.from_bytes(b"".join(word.to_bytes(2) for word in words[6:]))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_without_options_both_meters_are_there_and_nothing_stays(
    end: signal.Signals,
) -> None:
    async with running(end=end) as ready, aiohttp.ClientSession() as session:
        assert list(ready) == ["control", "lines", "gateways", "dct1", "iem_dcr"]
        (line,), (dct1,), (iem_dcr,) = ready["lines"], ready["dct1"], ready["iem_dcr"]
        assert dct1["line"] == line["name"]
        assert await energy_wh(line["path"]) == 0
        async with session.get(
            f"{iem_dcr['url']}/counter/v1/ocmf/metervalue"
        ) as answer:
            assert (await answer.json())["MS"] == iem_dcr["serial_number"]
        async with session.get(ready["control"]) as answer:
            assert list((await answer.json())["meters"]) == [
                dct1["name"],
                iem_dcr["name"],
            ]
    assert_gone(line["path"])


async def test_settings_reach_what_they_are_for(tmp_path: Path) -> None:
    link = tmp_path / "ttyCAR"
    async with running(
        "--line", f"name=bus,link={link},baud_rate=115200",
        "--gateway", "name=net,framer=socket,baud_rate=115200",
        "--dct1", "line=bus,address=7,signature=256,serial_number=BY1,import_wh=5",
        "--dct1", "name=second,line=net,address=8",
        "--iem-dcr", "name=old,firmware=v1,key_form=bare",
        "--iem-dcr", "name=new",
        "--car", "power_w=11000.5,time_scale=10",
    ) as ready, aiohttp.ClientSession() as session:  # fmt: skip
        assert ready["lines"] == [{"name": "bus", "path": str(link)}]
        assert [(m["name"], m["line"], m["address"]) for m in ready["dct1"]] == [
            ("dct1", "bus", 7),
            ("second", "net", 8),
        ]
        (net,) = ready["gateways"]
        connection = ModbusConnection(
            ModbusTcpParams(host=net["host"], port=net["port"]), timeout=1
        )
        assert await connection.for_unit(8).read_input_registers(0x24FF, 1) == [1]
        await connection.close()
        assert len({meter["serial_number"] for meter in ready["iem_dcr"]}) == 2
        async with session.get(
            f"{ready['iem_dcr'][0]['url']}/counter/v1/ocmf/publickey"
        ) as answer:
            assert len((await answer.json())["PK"]) == 128
        async with session.get(ready["control"]) as answer:
            assert (await answer.json())["car"]["power_w"] == 11000.5


async def test_registers_never_fall_across_a_restart(tmp_path: Path) -> None:
    options = ("--state-dir", str(tmp_path), "--car", "power_w=100000,time_scale=1000")
    shown = 0
    for _ in range(3):
        async with running(*options) as ready:
            now = await energy_wh(ready["lines"][0]["path"])
            assert now > shown
            shown = now


async def test_a_killed_process_has_kept_what_it_showed(tmp_path: Path) -> None:
    link = str(tmp_path / "port")
    options = ("--state-dir", str(tmp_path), "--line", f"link={link}", "--dct1")
    process = await start(*options, "--car", "power_w=1e5,time_scale=1e4")
    assert process.stdout is not None
    await process.stdout.readline()
    shown = await energy_wh(link)
    process.kill()
    await process.communicate()
    async with running(*options):
        assert await energy_wh(link) >= shown > 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--dct1", "signature=512"), 'signature takes 256|384|none, not "512"'),
        (("--dct1", "colour=red"), "colour is not known here"),
        (("--dct1", "line=nowhere"), "dct1: there is no line nowhere"),
        (
            ("--dct1", "address=1", "--dct1", "address=1"),
            "address 1 is taken on this line",
        ),
        (("--line", "baud_rate"), "baud_rate has no value"),
        (("--line", "baud_rate=fast"), 'baud_rate takes int, not "fast"'),
        (("--line", "name=a", "--gateway", "name=a"), "two are named a"),
        (("--iem-dcr", "port=1000000"), "port"),
        (("--car", "power_w=2e6"), "power_w is at most"),
    ],
)
async def test_what_cannot_be_set_is_said_and_nothing_starts(
    arguments: tuple[str, ...], reason: str
) -> None:
    process = await start(*arguments)
    try:
        async with asyncio.timeout(20):
            output, errors = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 2
    assert output == b""
    assert reason in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_help_names_every_setting_and_action() -> None:
    process = await start("--help")
    output, _ = await process.communicate()
    for word in (
        "--state-dir",
        "word_order=big|little",
        "signature_form=",
        "power_cycle",
        "off_s=",
    ):
        assert word in output.decode()
