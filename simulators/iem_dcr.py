"""An Isabellenhütte IEM-DCR: the REST nodes, their state rules, and signed OCMF receipts.

Nodes, shapes and rules are as in the manufacturer's open driver and in a real receipt
(confirmed), but for what is marked as assumed here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
import json
from pathlib import Path
import random
import time
from typing import Any, ClassVar, Literal, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from .car import UJ_PER_WH, Car, Flow
from .clock import MeterClock, SetLetter
from .faults import Faults
from .http_faults import HttpFault, abort, spoil
from .registers import EnergyRegisters, read_state, write_state
from .signing import SignatureForm, SigningKey

MAKER = "Isabellenhuette"
MAX_TARIFF_TEXT = 250
NO_ERROR = "0x0000, 0x00000000, 0x00, 0x00"
SIGNING_METHOD = "ECDSA-secp256r1-SHA256"

NO_USER = {"IS": False, "IL": "NONE", "IF": [], "IT": "NONE", "ID": ""}
"""Who a transaction is for when POST user was left out (assumed to be allowed)."""

FIRMWARE_VERSIONS = {"v1": "DU-01.00.00_SU-01.00.00", "v2": "DU-02.00.12_SU-02.00.08"}
"""Only the second is from a real receipt."""

RECEIPT_WRAPPINGS = {"plain": "{}", "quoted": '"{}"', "whitespace": "\r\n {} \r\n"}

type Json = dict[str, Any]
type Node = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """A request the meter answers with something else than 200."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        """Say why, in the words that go into the answer's body."""
        super().__init__(reason)
        self.status = status


def not_now(reason: str) -> Refusal:
    """Return 428: the meter's state does not allow it."""
    return Refusal(HTTPStatus.PRECONDITION_REQUIRED, reason)


class SimulatedIemDcr:
    """One IEM-DCR, without its network: what it knows and what it allows."""

    ACTIONS: ClassVar[tuple[str, ...]] = (
        "power_cycle",
        "error",
        "threshold",
        "clock_jump",
        "clock_drift",
        "signature_delay",
        "exchange",
        "count_from",
    )

    def __init__(
        self,
        *,
        firmware: Literal["v1", "v2"] = "v2",
        key_form: Literal["spki", "bare"] = "spki",
        signature_form: Literal["padded", "unpadded", "bare"] = "unpadded",
        serial_number: str = "1ISA0200000001",
        model: str = "IEM-DCR-125-1000-32-00-006-B_000",
        activation_threshold_a: float = 1.0,
        signature_delay_s: float = 0.25,
        pending_receipt: Literal["404", "empty"] = "404",
        receipt_wrapping: Literal["plain", "quoted", "whitespace"] = "plain",
        power_loss: Literal["ends", "resumes"] = "ends",
        shuffle_readings: bool = False,
        clock_letter: SetLetter = "I",
        import_wh: int = 0,
        export_wh: int = 0,
        state_dir: Path | None = None,
        car: Car | None = None,
    ) -> None:
        """Describe the meter and power it up.

        ``pending_receipt`` is what GET receipt answers until the signature is there,
        ``power_loss`` what becomes of a running transaction. Key, registers, the transaction
        counter and the last receipt are kept in ``state_dir``, where there is one.
        """
        self.firmware = firmware
        self.key_form = key_form
        self.signature_form = SignatureForm(signature_form)
        self.serial_number = serial_number
        self.model = model
        self.activation_threshold_a = activation_threshold_a
        self.signature_delay_s = signature_delay_s
        self.pending_receipt = pending_receipt
        self.receipt_wrapping = receipt_wrapping
        self.power_loss = power_loss
        self.shuffle_readings = shuffle_readings
        self.error_words = NO_ERROR
        self.car = car or Car()
        self.clock = MeterClock(clock_letter)
        kept = state_dir / f"iem-dcr-{serial_number}" if state_dir else None
        self.key = SigningKey(
            ec.SECP256R1(), SHA256(), kept and kept.with_suffix(".pem")
        )
        self._registers = EnergyRegisters(
            self.car,
            kept and kept.with_suffix(".json"),
            import_wh=import_wh,
            export_wh=export_wh,
        )
        self._path = kept and kept.with_suffix(".transactions.json")
        memory = read_state(self._path)
        self._counter: int = memory.get("counter", 0)
        self._transaction: Json | None = memory.get("transaction")
        self._last_receipt: str | None = memory.get("last_receipt")
        self._begin_wh: list[int] = memory.get("begin_wh", [0, 0])
        self._end_wh: list[int] = memory.get("end_wh", [0, 0])
        self._ct = self._ci = self._tariff = ""
        self._user: Json = NO_USER
        self._user_tariff: str | None = None
        self._fresh_receipt: str | None = None
        self._signed_at = 0.0

    @property
    def transaction_path(self) -> str:
        """Where this firmware keeps GET transaction."""
        version = "v2" if self.firmware == "v2" else "v1"
        return f"/counter/{version}/ocmf/transaction"

    # The nodes

    def get_gw(self) -> Json:
        """Return the charge point's identification, empty until it is set."""
        return {"CT": self._ct, "CI": self._ci, "TM": self.clock.text()}

    def post_gw(self, body: Json) -> None:
        """Set identification and clock, once per power-up."""
        ct, ci = text(body, "CT"), text(body, "CI")
        if self._ct or self._ci:
            raise not_now("CT and CI are set until the next power cycle")
        self._set_clock(body)
        self._ct, self._ci = ct, ci

    def post_tariff(self, body: Json) -> None:
        """Show a tariff text; receipts carry it unless POST user brings another."""
        self._tariff = tariff_text(body)

    def get_datetime(self) -> Json:
        """Return the clock's time."""
        return {"TM": self.clock.text()}

    def post_datetime(self, body: Json) -> None:
        """Set the clock, only while no transaction runs."""
        self._refuse_while_busy()
        self._set_clock(body)

    def get_publickey(self) -> Json:
        """Return the key; hex in mixed case, as the device writes it."""
        key = self.key.point[1:].hex().upper()
        if self.key_form == "spki":
            key = self.key.subject_public_key_info[:-64].hex() + key
        return {"SA": SIGNING_METHOD, "PK": key}

    def get_metervalue(self) -> Json:
        """Return the live values; between transactions those of the last one stay."""
        flow = self._registers.measure()
        lifetime = registers_wh(flow)
        ended = lifetime if self._transaction else self._end_wh
        transaction = [
            end - begin for begin, end in zip(self._begin_wh, ended, strict=True)
        ]
        readings: list[Json] = [
            {"RV": kwh(wh), "RI": f"1-b:{register}.8.e", "RU": "kWh", "RT": "DC"}
            for register, wh in enumerate(lifetime, 1)
        ] + [
            {
                "WV": kwh(wh),
                "WI": f"transaction_1-b:{register}.8.e",
                "WU": "kWh",
                "WT": "DC",
            }
            for register, wh in enumerate(transaction, 1)
        ]
        if self.shuffle_readings:
            random.shuffle(readings)
        return {
            "MS": self.serial_number,
            "TM": self.clock.text(),
            "EF": self._error_flags(),
            "ST": "G",
            "XT": self._transaction is not None,
            "RD": readings,
            "U1": 1.089,
            "U2": flow.voltage_dv / 10,
            "U3": 0,
            "U4": 0,
            "I": flow.current_ma / 1000,
            "P": round(flow.power_mw / 1000, 1),
            "XS": "0x0000004000000004",
            "XC": self.error_words,
        }

    def post_user(self, body: Json) -> None:
        """Say who the next transaction is for; not while one runs (assumed)."""
        self._refuse_while_busy()
        if not isinstance(body.get("IS"), bool) or not isinstance(body.get("US"), bool):
            raise bad("IS and US are true or false")
        flags = body.get("IF")
        if not isinstance(flags, list) or not all(
            isinstance(flag, str) for flag in flags
        ):
            raise bad("IF is a list of texts")
        user = {
            "IS": body["IS"],
            "IL": text(body, "IL"),
            "IF": flags,
            "IT": text(body, "IT"),
            "ID": text(body, "ID"),
        }
        tariff = tariff_text(body) if "TT" in body else None
        self._user, self._user_tariff = user, tariff

    def post_receipt(self, body: Json) -> None:
        """Begin (B) or end (E) a transaction."""
        match text(body, "TX"):
            case "B":
                self._begin()
            case "E":
                self._refuse_while_current_flows()
                self._end("E")
            case other:
                raise bad(f"TX is B or E, not {other}")

    def get_receipt(self) -> str:
        """Return the receipt just ended, once it is signed; none survives a power cycle here."""
        if self._fresh_receipt is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no receipt")
        return self._receipt_text(self._fresh_receipt)

    def get_transaction(self) -> str:
        """Return the last receipt there was, while nothing runs."""
        if self._transaction is not None:
            raise not_now("a transaction runs")
        if self._last_receipt is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "no transaction yet")
        return self._receipt_text(self._last_receipt)

    # What can be done to the meter

    def power_cycle(self) -> None:
        """Lose the supply and come up again at once."""
        self.power_down()
        self.power_up()

    def power_down(self) -> None:
        """Lose the supply: count nothing; a running transaction ends here where it does not resume.

        That the end is marked P, OCMF's power failure, is assumed.
        """
        if self._transaction and self.power_loss == "ends":
            self._end("P")
        self._registers.switch_off()

    def power_up(self) -> None:
        """Come up without CT, CI, tariff, user and time."""
        self._registers.switch_on()
        self._ct = self._ci = self._tariff = ""
        self._fresh_receipt = None
        self._signed_at = 0.0
        self._forget_user()
        self.clock.reset()

    def error(self, *, words: str = "0x0001, 0x00000000, 0x00, 0x00") -> None:
        """Show these error words; all zeros end the error state."""
        parts = words.split(", ")
        if len(parts) != 4 or not all(part.startswith("0x") for part in parts):
            raise ValueError(f"words has the form {NO_ERROR}")
        self.error_words = words

    def threshold(self, *, current_a: float) -> None:
        """Refuse begin and end above this current."""
        if current_a < 0:
            raise ValueError("current_a is not negative")
        self.activation_threshold_a = current_a

    def clock_jump(self, *, seconds: float) -> None:
        """Put the clock forward or back."""
        self.clock.jump(seconds)

    def clock_drift(self, *, ppm: float) -> None:
        """Let the clock run fast, or slow when negative."""
        self.clock.drift(ppm)

    def signature_delay(self, *, seconds: float) -> None:
        """Take so long to sign a receipt."""
        if seconds < 0:
            raise ValueError("seconds is not negative")
        self.signature_delay_s = seconds

    def exchange(
        self, *, serial_number: str | None = None, new_key: bool = False
    ) -> None:
        """Let another meter answer at this address: what is not asked for stays the same."""
        if serial_number == "":
            raise ValueError("serial_number is not empty")
        self.serial_number = serial_number or self.serial_number
        if new_key:
            self.key = self.key.another()

    def count_from(self, *, import_wh: int, export_wh: int = 0) -> None:
        """Go on from these registers, as a meter does that was reset."""
        self._registers.count_from(import_wh, export_wh)

    def describe(self) -> Json:
        """Return the meter's state for the control interface."""
        import_wh, export_wh = registers_wh(self._registers.measure())
        return {
            "kind": "iem_dcr",
            "serial_number": self.serial_number,
            "import_wh": import_wh,
            "export_wh": export_wh,
            "firmware": self.firmware,
            "CT": self._ct,
            "CI": self._ci,
            "clock": self.clock.text(),
            "tariff_text": self._tariff,
            "transaction": self._transaction and self._transaction["PG"],
            "transactions": self._counter,
            "error_words": self.error_words,
            "activation_threshold_a": self.activation_threshold_a,
            "signature_delay_s": self.signature_delay_s,
        }

    # The life of a transaction

    def _forget_user(self) -> None:
        """Forget who was announced: a user is good for one transaction (assumed)."""
        self._user, self._user_tariff = NO_USER, None

    def _begin(self) -> None:
        """Begin; without CT and CI the meter refuses (assumed)."""
        self._refuse_while_busy()
        if self.error_words != NO_ERROR:
            raise not_now("error state")
        if not self._ct:
            raise not_now("CT and CI are not set")
        self._refuse_while_current_flows()
        self._counter += 1
        self._begin_wh = registers_wh(self._registers.measure())
        self._transaction = {
            "FV": "1.0",
            "GI": f"{MAKER} {self.model}",
            "GS": self.serial_number,
            "GV": FIRMWARE_VERSIONS[self.firmware],
            "MV": MAKER,
            "MM": self.model,
            "MS": self.serial_number,
            "CT": self._ct,
            "CI": self._ci,
            **self._user,
            "PG": f"T{self._counter}",
            "TT": self._tariff if self._user_tariff is None else self._user_tariff,
            "RD": [self._reading("B", self._begin_wh[0])],
        }
        self._fresh_receipt = None
        self._forget_user()
        self._keep()

    def _end(self, tx: Literal["E", "P"]) -> None:
        if self._transaction is None:
            raise not_now("no transaction runs")
        self._end_wh = registers_wh(self._registers.measure())
        readings = [*self._transaction["RD"], self._reading(tx, self._end_wh[0])]
        payload = compact({**self._transaction, "RD": readings})
        signature = self.key.sign(payload.encode(), self.signature_form).hex().upper()
        self._last_receipt = "|".join(
            ("OCMF", payload, compact({"SA": SIGNING_METHOD, "SD": signature}))
        )
        self._fresh_receipt = self._last_receipt
        self._signed_at = time.monotonic() + self.signature_delay_s
        self._transaction = None
        self._keep()

    def _reading(self, tx: Literal["B", "E", "P"], import_wh: int) -> Json:
        return {
            "TM": self.clock.text(),
            "TX": tx,
            "EF": self._error_flags(),
            "ST": "G",
            "RV": kwh(import_wh),
            "RI": "1-b:1.8.e",
            "RU": "kWh",
            "RT": "DC",
        }

    def _error_flags(self) -> str:
        return "" if self.clock.is_set else "t"

    def _receipt_text(self, receipt: str) -> str:
        if self._is_signing():
            if self.pending_receipt == "empty":
                return ""
            raise Refusal(HTTPStatus.NOT_FOUND, "the signature is not ready")
        return RECEIPT_WRAPPINGS[self.receipt_wrapping].format(receipt)

    def _set_clock(self, body: Json) -> None:
        try:
            self.clock.set(text(body, "TM"))
        except ValueError as err:
            raise bad(str(err)) from err

    def _refuse_while_busy(self) -> None:
        """Refuse while a transaction runs, and while one is being signed (assumed)."""
        if self._transaction is not None:
            raise not_now("a transaction runs")
        if self._is_signing():
            raise not_now("the last transaction is being signed")

    def _is_signing(self) -> bool:
        return time.monotonic() < self._signed_at

    def _refuse_while_current_flows(self) -> None:
        if (
            abs(self._registers.measure().current_ma)
            > self.activation_threshold_a * 1000
        ):
            raise not_now("current above the activation threshold")

    def _keep(self) -> None:
        write_state(
            self._path,
            {
                "counter": self._counter,
                "transaction": self._transaction,
                "last_receipt": self._last_receipt,
                "begin_wh": self._begin_wh,
                "end_wh": self._end_wh,
            },
        )


class IemDcrServer:
    """An IEM-DCR on a port of 127.0.0.1, and what can be wrong with its network."""

    ACTIONS: ClassVar[tuple[str, ...]] = (
        "power_cycle",
        "refuse",
        "accept",
        "delay",
        "fail",
        "garbage",
        "disconnect",
        "misanswer",
        "heal",
    )

    def __init__(self, meter: SimulatedIemDcr, *, port: int = 0) -> None:
        """Give the meter this port; 0 takes a free one and keeps it."""
        self.meter = meter
        self.port = port
        self._runner: web.AppRunner | None = None
        self._boot: asyncio.Task[None] | None = None
        self._delay_s = 0.0
        self._faults = Faults()
        self._misanswer: HttpFault | None = None
        self._misanswered_node = ""
        self._cutting: asyncio.Task[None] | None = None
        self._answering: set[asyncio.Task[object]] = set()

    @property
    def url(self) -> str:
        """Where the meter answers."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        await self.refuse()

    async def accept(self) -> None:
        """Accept connections again."""
        if self._runner is not None:
            return
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Close every connection and refuse new ones."""
        if self._boot is not None:
            self._boot.cancel()
            self._boot = None
        for answering in self._answering:
            answering.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def power_cycle(self, *, off_s: float = 2.0) -> None:
        """Lose the supply; refuse connections for so many seconds, then come up."""
        if off_s < 0:
            raise ValueError("off_s is not negative")
        await self.refuse()
        self.meter.power_down()
        if off_s:
            self._boot = asyncio.create_task(self._come_up(off_s))
        else:
            await self._come_up(0)

    def delay(self, *, seconds: float) -> None:
        """Hold every answer back by so many seconds; 0 ends it."""
        if seconds < 0:
            raise ValueError("seconds is not negative")
        self._delay_s = seconds

    def fail(self, *, count: int = 1) -> None:
        """Answer the next requests with HTTP 500."""
        self._faults.plan("fail", count)

    def garbage(self, *, count: int = 1) -> None:
        """Answer the next requests with 200 and nonsense."""
        self._faults.plan("garbage", count)

    def disconnect(self, *, count: int = 1) -> None:
        """Drop the connection of the next requests without an answer."""
        self._faults.plan("disconnect", count)

    def misanswer(self, *, fault: HttpFault, count: int = 1, node: str = "") -> None:
        """Answer the next requests in this way; those of ``node``, such as POST receipt, or all.

        With ``dies_before`` and ``dies_after`` the meter loses its supply for two seconds
        before or after it has done what was asked, and answers nothing.
        """
        self._misanswer, self._misanswered_node = fault, node
        self._faults.plan("misanswer", count)

    def heal(self) -> None:
        """Forget every fault."""
        self._delay_s = 0.0
        self._faults.clear()

    def describe(self) -> Json:
        """Return meter and network for the control interface."""
        return {
            **self.meter.describe(),
            "url": self.url,
            "accepts": self._runner is not None,
            "delay_s": self._delay_s,
            "faults": self._faults.describe(),
        }

    async def _come_up(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.meter.power_up()
        await self.accept()
        self._boot = None

    def _application(self) -> web.Application:
        meter, root = self.meter, "/counter/v1/ocmf"
        application = web.Application(middlewares=[self._answer])
        for path, node in {
            f"{root}/gw": meter.get_gw,
            f"{root}/datetime": meter.get_datetime,
            f"{root}/publickey": meter.get_publickey,
            f"{root}/metervalue": meter.get_metervalue,
            f"{root}/receipt": meter.get_receipt,
            meter.transaction_path: meter.get_transaction,
        }.items():
            application.router.add_get(path, answer_get(node))
        for path, command in {
            f"{root}/gw": meter.post_gw,
            f"{root}/tariff": meter.post_tariff,
            f"{root}/datetime": meter.post_datetime,
            f"{root}/user": meter.post_user,
            f"{root}/receipt": meter.post_receipt,
        }.items():
            application.router.add_post(path, answer_post(command))
        return application

    @web.middleware
    async def _answer(self, request: web.Request, handler: Node) -> web.StreamResponse:
        """Answer, unless a fault strikes or the supply goes."""
        if (task := asyncio.current_task()) is not None:
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        await asyncio.sleep(self._delay_s)
        if self._faults.strikes("disconnect"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self._faults.strikes("fail"):
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        if self._faults.strikes("garbage"):
            return web.Response(body=b"\x00\xffgarbage{")
        asked = f"{request.method} {request.path.rpartition('/')[2]}"
        if (
            self._misanswer is not None
            and self._misanswered_node in ("", asked)
            and self._faults.strikes("misanswer")
        ):
            return await self._answer_wrongly(self._misanswer, request, handler)
        return await answer_rightly(request, handler)

    async def _answer_wrongly(
        self, fault: HttpFault, request: web.Request, handler: Node
    ) -> web.StreamResponse:
        if fault == "dies_before":
            self._die()
            return abort(request)
        right = await answer_rightly(request, handler)
        if fault == "forged" and right.status != HTTPStatus.OK:
            self._faults.miss("misanswer")
            return right
        if fault == "dies_after":
            self._die()
            return abort(request)
        return await spoil(fault, request, right)

    def _die(self) -> None:
        # Not from within an answer, which the end of the server waits for.
        self._cutting = asyncio.create_task(self.power_cycle())


async def answer_rightly(request: web.Request, handler: Node) -> web.Response:
    """Answer; a refusal's reason is the body."""
    try:
        answer = await handler(request)
    except Refusal as refusal:
        return web.Response(status=refusal.status, text=str(refusal))
    assert isinstance(answer, web.Response)
    return answer


def answer_get(node: Callable[[], object]) -> Node:
    """Return what answers GET: JSON, or the text of a receipt."""

    async def answer(_: web.Request) -> web.StreamResponse:
        content = node()
        if isinstance(content, str):
            return web.Response(text=content)
        return web.json_response(content)

    return answer


def answer_post(command: Callable[[Json], None]) -> Node:
    """Return what answers POST; the body is a JSON object and says so."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        try:
            body = await request.json()
        except ValueError as err:
            raise bad("the body is not JSON") from err
        if not isinstance(body, dict):
            raise bad("the body is not a JSON object")
        command(body)
        return web.Response()

    return answer


def bad(reason: str) -> Refusal:
    """Return 400: the meter does not understand."""
    return Refusal(HTTPStatus.BAD_REQUEST, reason)


def text(body: Json, name: str) -> str:
    """Return a text of the body. Raises ``Refusal`` when it is missing or something else."""
    value = body.get(name)
    if not isinstance(value, str):
        raise bad(f"{name} is a text")
    return value


def tariff_text(body: Json) -> str:
    """Return the body's tariff text, no longer than the display takes."""
    tariff = text(body, "TT")
    if len(tariff) > MAX_TARIFF_TEXT:
        raise bad(f"TT has more than {MAX_TARIFF_TEXT} characters")
    return tariff


def registers_wh(flow: Flow) -> list[int]:
    """Return import and export in whole watt-hours."""
    return [flow.import_uj // UJ_PER_WH, flow.export_uj // UJ_PER_WH]


def kwh(wh: int) -> str:
    """Write watt-hours as the device writes kilowatt-hours."""
    return f"{wh // 1000:08}.{wh % 1000:03}"


def compact(content: Json) -> str:
    """Write JSON as the device does, without a space."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
