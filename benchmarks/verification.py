"""How long it takes to verify one receipt."""

import time

from custom_components.dc_meter.metering.verdict import Receipt, Verdict, judge
from simulators.dct1 import SimulatedDct1
from tests.export.accounts import dct1_account, ocmf_account

from .result import Must, Result

TIMES = 50


def receipts() -> dict[str, Receipt]:
    """Return what meters signed, by curve; a DCT1's has two signatures."""
    accounts = {
        "IEM-DCR, secp256r1": ocmf_account(),
        "DCT1, brainpoolP256r1": dct1_account(
            meter=SimulatedDct1(signature="256", import_wh=1_000_000)
        ),
        "DCT1, brainpoolP384r1": dct1_account(),
    }
    found = {}
    for name, account in accounts.items():
        receipt = account.session.receipt
        assert receipt is not None
        found[name] = receipt
    return found


def once(receipt: Receipt) -> float:
    """Return the milliseconds of CPU that one judgement takes."""
    began = time.process_time()
    for _ in range(TIMES):
        judgement = judge(receipt, trusted_key=receipt.end.public_key)
        assert judgement.verdict is Verdict.VALID
    return (time.process_time() - began) / TIMES * 1000


async def ask(*, quick: bool) -> list[Result]:
    """Judge a receipt of each curve, again and again."""
    runs = 3 if quick else 9
    results = []
    for name, receipt in receipts().items():
        signatures = 1 if receipt.begin is None else 2
        judged = [once(receipt) for _ in range(runs)]
        results.append(
            Result.of(
                f"verification of a receipt: {name}, {signatures} signature(s)",
                judged,
                "ms",
                must=Must(bound=2),
            )
        )
    return results
