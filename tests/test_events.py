"""What is told of a finished session: to who asks, on the bus and to the card."""

import pytest

from custom_components.dc_meter.events import account_data
from custom_components.dc_meter.session import Account

from .export.accounts import dct1_account, forged_account, ocmf_account


def verdict(account: Account) -> dict[str, object]:
    """Return what is told of a session's verdict."""
    found: dict[str, object] = account_data(account)["verdict"]
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
