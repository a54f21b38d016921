"""What comes of a start and a stop: what everyone is told, or why not."""

from dataclasses import dataclass

from .const import EVENT_FAILED
from .metering.errors import InvalidRequestError, MeterError
from .session import Account


class NotLoadedError(InvalidRequestError):
    """The meter's entry was unloaded before it came to what was asked for."""

    key = "not_loaded"
    message = "The meter is being set up anew; try again in a moment"


class OtherTransactionError(InvalidRequestError):
    """The transaction to stop is not the one that runs."""

    key = "other_transaction"
    message = "Transaction {asked} does not run; {running} does"


class UnknownTransactionError(InvalidRequestError):
    """The transaction to stop neither runs nor has left a receipt."""

    key = "unknown_transaction"
    message = "Transaction {transaction_id} does not run and has left no receipt"


class AlreadyRunningError(InvalidRequestError):
    """A transaction runs that is to go on."""

    key = "already_running"
    message = "A transaction is already running"


class NoLongerSoError(InvalidRequestError):
    """What was to be decided on has changed since it was shown."""

    key = "no_longer_so"
    message = "This is no longer so"


class TransactionIdUsedError(InvalidRequestError):
    """A transaction of this id is already in the archive."""

    key = "transaction_id_used"
    message = "Transaction {transaction_id} has already been used"


class TransactionIdReservedError(InvalidRequestError):
    """An id that tells of a transaction that nobody here started is asked for a start."""

    key = "transaction_id_reserved"
    message = "A transaction of ours cannot be called {transaction_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What start and stop tell everyone: the caller, the bus, the entities."""

    kind: str
    """One of the event types of ``const``."""

    account: Account
    error: MeterError | None = None

    already_stopped: bool = False
    """Nothing ran; this is the receipt of the transaction before."""

    @property
    def failed(self) -> bool:
        """Whether the transaction did not begin or left no receipt."""
        return self.kind == EVENT_FAILED
