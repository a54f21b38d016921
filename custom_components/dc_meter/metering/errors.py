"""What can go wrong with a meter, one exception each.

Every error has a ``key`` that names it for a translation, and ``details``, the words that
fill its message. The English message is for logs and the command line.
"""

from typing import ClassVar

_LONGEST = 300
"""Characters of a detail, which may be what a device has sent."""


def _told(value: object) -> str:
    """Return a detail as one short line, which begins no other line in a log."""
    text = str(value)
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape").decode()
        for character in (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
    )


class MeterError(Exception):
    """Base of everything a meter can raise."""

    key: ClassVar[str] = "meter_error"
    message: ClassVar[str] = "The meter reported an error: {error}"

    def __init__(self, **details: object) -> None:
        """Keep the details as text and build the message from them."""
        self.details = {name: _told(value) for name, value in details.items()}
        super().__init__(self.message.format(**self.details))


class MeterUnreachableError(MeterError):
    """No answer: a cable, an address, a gateway or the meter's supply."""

    key = "unreachable"
    message = "The meter does not answer: {error}"


class LineBusyError(MeterUnreachableError):
    """Not asked: whoever has the line keeps it for too long. It says nothing of the meter."""


class AdapterEchoesError(MeterUnreachableError):
    """Short requests are not answered and others are: likely their echo is taken for the answer."""

    key = "adapter_echoes"
    message = (
        "The meter gives its live values and nothing else; the adapter may send back what is"
        " sent to it: {error}"
    )


class UnexpectedAnswerError(MeterError):
    """An answer came, and it is not one this meter is known to give."""

    key = "unexpected_answer"
    message = "The meter gave an answer that is not understood: {error}"


class UnreadableReceiptError(UnexpectedAnswerError):
    """A meter holds something for a receipt that is none by OCMF; ``text`` is it as it came."""

    def __init__(self, text: str, **details: object) -> None:
        """Keep the text, which is for no message."""
        super().__init__(**details)
        self.text = text


class WordOrderError(UnexpectedAnswerError):
    """The live voltage fits the signed block in neither word order."""

    key = "word_order"
    message = (
        "The live voltage ({live} V) agrees with the signed block neither in big-endian"
        " ({big} V) nor in low-word-first order ({little} V)"
    )


class WrongMeterError(MeterError):
    """Another meter answers at this address."""

    key = "wrong_meter"
    message = "Meter {found} answers where {expected} is expected"


class RefusedError(MeterError):
    """The meter understood and said no."""

    key = "refused"
    message = "The meter refused {action}: {error}"


class CurrentFlowingError(RefusedError):
    """Begin or end refused with 428: current above the activation threshold flows."""

    key = "current_flowing"
    message = "The meter refused to {action} the transaction while current flows"


class ErrorStateError(RefusedError):
    """The meter's error words are not all zero; no transaction may start."""

    key = "error_state"
    message = "The meter is in its error state ({words})"


class NotInitializedError(RefusedError):
    """CT and CI are not set in the meter yet."""

    key = "not_initialized"
    message = "The meter is not initialised: its charge point identification is empty"


class TransactionRunningError(RefusedError):
    """Something the meter allows only while no transaction runs."""

    key = "transaction_running"
    message = "The meter does not allow {action} while a transaction runs"


class NoReceiptError(RefusedError):
    """The meter ended the transaction and does not hand out its receipt in time."""

    key = "no_receipt"
    message = "The meter did not hand out its receipt within {seconds} s"


class InvalidRequestError(MeterError):
    """The caller asked for something that cannot be done; nothing was sent."""

    key = "invalid_request"
    message = "The request cannot be carried out: {error}"


class WrongEvseError(InvalidRequestError):
    """The request's EVSE id is not the meter's charge point (NOT_SUPPORTED)."""

    key = "wrong_evse"
    message = "EVSE {evse_id} is not measured by this meter, which is {expected}"


class TextTooLongError(InvalidRequestError):
    """A text is longer than the meter takes."""

    key = "text_too_long"
    message = "The {name} has {length} characters; the meter takes at most {limit}"


class UncarriableTextError(InvalidRequestError):
    """A text holds what receipts cannot carry: a control character, a surrogate or ``|``."""

    key = "text_uncarriable"
    message = "The {name} holds a character that receipts cannot carry"


class TooManyFlagsError(InvalidRequestError):
    """More identification flags than OCMF allows."""

    key = "too_many_flags"
    message = "There are {number} identification flags; receipts hold at most {limit}"


class ChargePointMissingError(InvalidRequestError):
    """The configuration names no charge point, and receipts must."""

    key = "charge_point_missing"
    message = "The charge point's type and id must be given"


class InvalidAddressError(InvalidRequestError):
    """The configured address is none that HTTP reaches."""

    key = "invalid_address"
    message = "This is no http or https address: {error}"


class NoTransactionError(InvalidRequestError):
    """Nothing runs."""

    key = "no_transaction"
    message = "No transaction runs"


class UnsupportedError(InvalidRequestError):
    """The meter has no such function."""

    key = "unsupported"
    message = "The meter cannot {action}"
