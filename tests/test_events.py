"""What is told of a finished session: to who asks, on the bus and to the card."""

from typing import Any

import pytest

from custom_components.dc_meter.events import account_data
from custom_components.dc_meter.export.entry import Entry
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.session import Account

from .export.accounts import dct1_account, forged_account, ocmf_account
from .metering.signed import ocmf

# What an IEM-DCR signs when nobody is named: the id of the transaction in the user's place.
NOBODY = ocmf_account(
    request=TransactionRequest(transaction_id="T-1"),
    text=ocmf(ID="T-1", IT="NONE", IL="NONE", IS=False),
)


def verdict(account: Account) -> dict[str, Any]:
    """Return what is told of a session's verdict."""
    found: dict[str, Any] = account_data(account)["verdict"]
    return found


@pytest.mark.parametrize(
    ("account", "times"),
    [
        (ocmf_account(), ("2026-07-01T14:00:00+02:00", "2026-07-01T14:30:00+02:00")),
        (dct1_account(), (None, None)),
        (forged_account(), (None, None)),
    ],
    ids=["signed", "registers alone", "forged"],
)
def test_a_verdict_has_the_times_that_are_signed(
    account: Account, times: tuple[str | None, str | None]
) -> None:
    """Home Assistant's own may be hours later where a receipt was fetched later."""
    told = verdict(account)
    assert (told["begins_at"], told["ends_at"]) == times


@pytest.mark.parametrize(
    ("account", "user", "proved"),
    [
        (ocmf_account(), "0A1B2C3D", True),
        (NOBODY, "", False),
        (dct1_account(), "", False),
    ],
    ids=["somebody", "nobody", "registers alone"],
)
def test_a_transaction_id_is_not_taken_for_a_user(
    account: Account, user: str, proved: bool
) -> None:
    """A meter that has only one place for both signs the id where nobody is named."""
    assert Entry.of(account).user == user
    assert ("user" in verdict(account)["covers"]) is proved
