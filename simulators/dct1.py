"""A Carlo Gavazzi DCT1: input registers over a signed block, with real keys and signatures.

Registers and block are as the manufacturer's open driver and real samples show them
(confirmed), but for what is marked as assumed here.
"""

import asyncio
from pathlib import Path
from typing import Any, ClassVar, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from pymodbus.constants import ExcCodes

from .car import UJ_PER_WH, Car, Flow
from .registers import EnergyRegisters
from .signing import SigningKey

LIVE_ADDRESS = 0x0000
BLOCK_ADDRESS = 0x0800
BLOCK_REGISTERS = 77
SIGNATURE_ADDRESS = BLOCK_ADDRESS + BLOCK_REGISTERS
SIGNATURE_TYPE_ADDRESS = 0x24FF
PUBLIC_KEY_ADDRESS = 0x2500

KEY_PAD = b"\x00"
"""The byte that fills the last register of the public key."""

type SignatureType = Literal["256", "384", "none"]
type WordOrder = Literal["big", "little"]

SIGNATURE_TYPE_CODES: dict[SignatureType, int] = {"256": 0, "384": 1, "none": 2}

WH, W, V, A, OHM = 30, 27, 35, 33, 38
"""Units as in the DLMS blue book."""


class SimulatedDct1:
    """One DCT1 on a line; each request sees one coherent moment."""

    ACTIONS: ClassVar[tuple[str, ...]] = (
        "power_cycle",
        "power_off",
        "power_on",
        "delay",
        "exchange",
        "count_from",
    )

    def __init__(
        self,
        *,
        address: int = 1,
        signature: SignatureType = "384",
        serial_number: str = "BY0000000001L",
        model: str | None = None,
        word_order: WordOrder = "big",
        live_delay_s: float = 0.0,
        block_delay_s: float = 0.0,
        low_side_sensing: bool = True,
        cable_resistance_mohm: int = 0,
        import_wh: int = 0,
        export_wh: int = 0,
        state_dir: Path | None = None,
        car: Car | None = None,
    ) -> None:
        """Describe the meter.

        ``word_order`` is that of the values inside the block. ``live_delay_s`` is what the
        meter takes to answer, ``block_delay_s`` what it takes where the signed block or its
        signature is touched. Key and registers are kept in ``state_dir``, where there is one;
        ``import_wh`` and ``export_wh`` are the registers of a new meter.
        """
        if not 1 <= address <= 247:
            raise ValueError("address is from 1 to 247")
        self.address = address
        self.signature = signature
        suffix = {"256": "S2EC", "384": "S3EC", "none": "EC"}[signature]
        self.model = text_field("model", model or f"DCT1A30V10L{suffix}", 16)
        self.exchange(serial_number=serial_number)
        self.word_order = word_order
        self.live_delay_s = live_delay_s
        self.block_delay_s = block_delay_s
        self.cable_resistance_mohm = cable_resistance_mohm
        self.car = car or Car()
        self.powered = True
        self._power_on_timer: asyncio.TimerHandle | None = None
        kept = state_dir / f"dct1-{serial_number}" if state_dir else None
        self._registers = EnergyRegisters(
            self.car,
            kept and kept.with_suffix(".json"),
            import_wh=import_wh,
            export_wh=export_wh,
            reversed_sensing=not low_side_sensing,
        )
        self.key: SigningKey | None = None
        if signature != "none":
            curve, digest = (
                (ec.BrainpoolP384R1(), SHA384())
                if signature == "384"
                else (ec.BrainpoolP256R1(), SHA256())
            )
            self.key = SigningKey(
                curve, digest, kept and kept.with_suffix(f".{signature}.pem")
            )

    async def read_input_registers(
        self, address: int, count: int
    ) -> list[int] | ExcCodes:
        """Answer function code 4, after the time the meter takes.

        Addresses that are not confirmed answer an illegal data address; so do key and
        signature of a meter that does not sign (assumed).
        """
        end = address + count
        touches_block = address < self._signature_end and end > BLOCK_ADDRESS
        await asyncio.sleep(self.block_delay_s if touches_block else self.live_delay_s)
        memory = self._memory(sign=touches_block and end > SIGNATURE_ADDRESS)
        for start, content in memory.items():
            if start <= address and end <= start + len(content) // 2:
                wanted = content[2 * (address - start) : 2 * (end - start)]
                return [
                    int.from_bytes(wanted[i : i + 2]) for i in range(0, len(wanted), 2)
                ]
        return ExcCodes.ILLEGAL_ADDRESS

    def block(self) -> bytes:
        """Return the 154 bytes of this moment."""
        return self._block(self._registers.measure())

    def power_off(self) -> None:
        """Lose the supply: answer nothing and count nothing."""
        self._cancel_timer()
        self._registers.switch_off()
        self.powered = False

    def power_on(self) -> None:
        """Come back with the registers as they were."""
        self._cancel_timer()
        self._registers.switch_on()
        self.powered = True

    def power_cycle(self, *, off_s: float = 2.0) -> None:
        """Lose the supply for so many seconds."""
        if off_s < 0:
            raise ValueError("off_s is not negative")
        self.power_off()
        self._power_on_timer = asyncio.get_running_loop().call_later(
            off_s, self.power_on
        )

    def delay(
        self, *, live_s: float | None = None, block_s: float | None = None
    ) -> None:
        """Take so many seconds to answer, for live values and for the signed block."""
        if min(live_s or 0, block_s or 0) < 0:
            raise ValueError("a delay is not negative")
        if live_s is not None:
            self.live_delay_s = live_s
        if block_s is not None:
            self.block_delay_s = block_s

    def exchange(
        self, *, serial_number: str | None = None, new_key: bool = False
    ) -> None:
        """Let another meter answer at this address: what is not asked for stays the same."""
        if serial_number is not None:
            self.serial_number = text_field("serial_number", serial_number, 14)
        if new_key and self.key is not None:
            self.key = self.key.another()

    def count_from(self, *, import_wh: int, export_wh: int = 0) -> None:
        """Go on from these registers, as a meter does that was reset."""
        self._registers.count_from(import_wh, export_wh)

    def describe(self) -> dict[str, Any]:
        """Return the meter's state for the control interface."""
        flow = self._registers.measure()
        return {
            "kind": "dct1",
            "serial_number": self.serial_number,
            "model": self.model,
            "address": self.address,
            "signature": self.signature,
            "word_order": self.word_order,
            "powered": self.powered,
            "import_wh": flow.import_uj // UJ_PER_WH,
            "export_wh": flow.export_uj // UJ_PER_WH,
            "live_delay_s": self.live_delay_s,
            "block_delay_s": self.block_delay_s,
        }

    @property
    def _signature_end(self) -> int:
        return SIGNATURE_ADDRESS + (self.key.width if self.key else 0)

    def _cancel_timer(self) -> None:
        if self._power_on_timer is not None:
            self._power_on_timer.cancel()
            self._power_on_timer = None

    def _memory(self, *, sign: bool) -> dict[int, bytes]:
        """Return what can be read at this moment, by start address; signed only when asked for."""
        flow = self._registers.measure()
        live = (flow.voltage_dv, flow.current_ma, round(flow.power_mw / 100))
        signed = self._block(flow)
        if self.key is not None:
            signed += self.key.sign(signed) if sign else bytes(2 * self.key.width)
        identity = SIGNATURE_TYPE_CODES[self.signature].to_bytes(2)
        if self.key is not None:
            identity += self.key.point + KEY_PAD
        return {
            LIVE_ADDRESS: b"".join(in_words(value, 4, "little") for value in live),
            BLOCK_ADDRESS: signed,
            SIGNATURE_TYPE_ADDRESS: identity,
        }

    def _block(self, flow: Flow) -> bytes:
        return b"".join(
            (
                self._record(1, 8, WH, 0, flow.import_uj // UJ_PER_WH, width=8),
                self._record(2, 8, WH, 0, flow.export_uj // UJ_PER_WH, width=8),
                self._record(1, 7, W, -1, round(flow.power_mw / 100)),
                self._record(12, 7, V, -1, flow.voltage_dv),
                self._record(11, 7, A, -3, flow.current_ma),
                self._record(0, 10, OHM, -3, self.cable_resistance_mohm, group_e=2),
                self.model.encode("ascii").ljust(16, b"\x00"),
                bytes(4),
                self.serial_number.encode("ascii").ljust(14, b"\x00"),
                self.model.encode("ascii").ljust(16, b"\x00"),
            )
        )

    def _record(
        self,
        group_c: int,
        group_d: int,
        unit: int,
        scaler: int,
        value: int,
        *,
        width: int = 4,
        group_e: int = 0,
    ) -> bytes:
        """Return OBIS 1-0:C.D.E*255, unit, scaler and value as they lie in the block."""
        return (
            bytes((1, 0, group_c, group_d, group_e, 255))
            + unit.to_bytes(4)
            + scaler.to_bytes(2, signed=True)
            + in_words(value, width, self.word_order)
        )


def in_words(value: int, width: int, order: WordOrder) -> bytes:
    """Return a signed number as 16-bit words, the low one first in ``little`` order."""
    content = value.to_bytes(width, signed=True)
    words = [content[i : i + 2] for i in range(0, width, 2)]
    return b"".join(words if order == "big" else reversed(words))


def text_field(name: str, text: str, width: int) -> str:
    """Return a text that fits a field of the block. Raises ``ValueError`` for another."""
    if not text.isascii() or not 0 < len(text) <= width:
        raise ValueError(f"{name} has 1 to {width} ASCII characters")
    return text
