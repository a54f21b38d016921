"""The words of the exports, in each language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal

from custom_components.dc_meter.metering.verdict import (
    Caveat,
    Covered,
    Judgement,
    KeyOrigin,
    Objection,
    Reason,
    Verdict,
)
from custom_components.dc_meter.session import GapKind, StartWarning

from .entry import Entry, TimeSource, local
from .parties import Language


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """One language: its numbers, its times, and what it calls things."""

    decimal_mark: str
    thousands_mark: str
    date_format: str
    time_format: str

    receipt: str
    statement: str
    issuer: str
    recipient: str
    created: str
    page_of: str

    transaction: str
    meter: str
    model: str
    charge_point: str
    user: str
    begin: str
    end: str
    duration: str
    clock: str
    clocks: Mapping[TimeSource, str]
    registers: str
    imported: str
    exported: str
    energy: str
    not_signed: str
    price: str
    cost: str
    currency: str
    tariff: str
    client: str
    tariff_id: str
    cable: str
    user_data: str
    unknown: str
    yes: str
    no: str

    verdict: str
    verdicts: Mapping[Verdict, str]
    nothing_signed: str
    nothing_signed_reason: str
    reasons: Mapping[Reason, str]
    billable: str
    not_billable: str
    why: str
    objections: Mapping[Objection, str]
    caveats: Mapping[Caveat, str]
    charge_point_frozen: str
    covers: str
    covers_not: str
    covered: Mapping[Covered, str]
    own_record: str
    key: str
    key_origins: Mapping[KeyOrigin, str]
    gaps: str
    gap_kinds: Mapping[GapKind, str]
    more: str
    """With ``{count}``."""

    signed_data: str
    public_key: str
    record: str

    sessions: str
    total: str
    total_billable: str
    period: str
    unknown_energies: str
    """With ``{count}``."""

    def number(self, value: Decimal, places: int = 0) -> str:
        """Write a number exactly, with at least so many places."""
        whole, _, fraction = f"{abs(value):,f}".partition(".")
        fraction = fraction.rstrip("0").ljust(places, "0")
        sign = "-" if value < 0 else ""
        text = sign + whole.replace(",", self.thousands_mark)
        return f"{text}{self.decimal_mark}{fraction}" if fraction else text

    def moment(self, moment: datetime) -> str:
        """Write a time with its offset."""
        offset = moment.isoformat(timespec="seconds")[19:25]
        return f"{moment:{self.date_format} {self.time_format}} {offset}"

    def says(self, judgement: Judgement | None) -> str:
        """Say what the verdict is."""
        if judgement is None:
            return self.nothing_signed
        return self.verdicts[judgement.verdict]

    def explains(self, judgement: Judgement | None) -> str:
        """Say why the verdict is what it is."""
        if judgement is None:
            return self.nothing_signed_reason
        return self.reasons[judgement.reason]

    def concerns(self, entry: Entry) -> list[str]:
        """Say what speaks against billing, and what else is worth knowing."""
        judged = entry.judgement
        if judged is None:
            return []
        concerns = [
            *(self.objections[objection] for objection in judged.objections),
            *(self.caveats[caveat] for caveat in judged.caveats),
        ]
        # Of what was known at the start, the only thing that the receipt itself does not show.
        if StartWarning.CHARGE_POINT_FROZEN in entry.account.session.warnings:
            concerns.append(self.charge_point_frozen)
        return concerns

    def gaps_of(self, entry: Entry, time_zone: tzinfo) -> list[str]:
        """Say when and why a session was not watched."""
        return [
            f"{self.moment(local(gap.begins_at, time_zone))} \u2013 "
            f"{self.moment(local(gap.ends_at, time_zone))}: {self.gap_kinds[gap.kind]}"
            for gap in entry.account.session.gaps
        ]


ENGLISH = Words(
    decimal_mark=".",
    thousands_mark=",",
    date_format="%Y-%m-%d",
    time_format="%H:%M:%S",
    receipt="Charging receipt",
    statement="Charging statement",
    issuer="Issued by",
    recipient="For",
    created="Created",
    page_of="Page {page} of {pages}",
    transaction="Transaction",
    meter="Meter",
    model="Model",
    charge_point="Charge point",
    user="User",
    begin="Begin",
    end="End",
    duration="Duration",
    clock="Times",
    clocks={
        TimeSource.SIGNED: "signed by the meter",
        TimeSource.METER: "the meter's clock, not signed",
        TimeSource.HOME_ASSISTANT: "Home Assistant's clock, not signed",
    },
    registers="Registers",
    imported="Import",
    exported="Export",
    energy="Energy",
    not_signed="not signed",
    price="Price",
    cost="Cost",
    currency="Currency",
    tariff="Tariff text",
    client="Client",
    tariff_id="Tariff",
    cable="Cable",
    user_data="User data",
    unknown="unknown",
    yes="yes",
    no="no",
    verdict="Verdict",
    verdicts={
        Verdict.VALID: "Valid",
        Verdict.INVALID: "Invalid",
        Verdict.UNVERIFIABLE: "Not verifiable",
    },
    nothing_signed="Not signed",
    nothing_signed_reason="The meter signed nothing for this session; its registers are what Home Assistant read.",
    reasons={
        Reason.GENUINE: "The signature is genuine: nothing that it covers was changed.",
        Reason.SIGNATURE_MISMATCH: "The signature does not fit the data: one of them was changed.",
        Reason.KEY_CHANGED: "Signed with another key than the one this meter is trusted by.",
        Reason.OTHER_METER: "Begin and end were signed by two meters.",
        Reason.RUNS_BACKWARDS: "A register runs backwards between begin and end.",
        Reason.NO_KEY: "There is no public key to check the signature with.",
        Reason.UNKNOWN_ALGORITHM: "The format or the algorithm of the signature is not known.",
        Reason.DAMAGED: "The signed data, the signature or the key is damaged.",
    },
    billable="Billable",
    not_billable="Not billable",
    why="Reasons",
    objections={
        Objection.NO_BEGIN: "There is no begin.",
        Objection.NO_END: "There is no end.",
        Objection.SEVERAL_BEGINS: "There is more than one begin.",
        Objection.SEVERAL_ENDS: "There is more than one end.",
        Objection.NO_BILLING_REGISTER: "No register that counts for billing was read.",
        Objection.OTHER_REGISTER: "Begin and end were read from two registers.",
        Objection.REGISTER_BACKWARDS: "The register runs backwards.",
        Objection.TIME_BACKWARDS: "The time runs backwards.",
        Objection.MIXED_TIME: "One time is relative, the other absolute.",
        Objection.STATUS_NOT_GOOD: "The meter's status was not good.",
        Objection.ENERGY_FLAGGED: "The meter itself flagged its energy as not usable.",
        Objection.IDENTIFICATION_LEVEL: "The user's identification failed.",
        Objection.NOT_A_TRANSACTION: "The meter did not count it as a transaction.",
        Objection.OTHER_METER: "Begin and end are from two meters.",
        Objection.OTHER_USER: "Begin and end name two users, or the receipt another than the one it was started for.",
        Objection.LIVE_REGISTER_DIFFERS: "The register read beside the receipt differs from the signed one.",
    },
    caveats={
        Caveat.TIME_UNSYNCHRONIZED: "The meter's clock was not synchronized.",
        Caveat.SIGNATURE_FORM: "The signature is genuine, but written in a form that strict programs reject.",
    },
    charge_point_frozen="The meter held another charge point than the configured one.",
    covers="Proved",
    covers_not="Not proved",
    covered={
        Covered.METER: "meter",
        Covered.READING: "registers",
        Covered.TIME: "time",
        Covered.USER: "user",
        Covered.TARIFF: "tariff text",
        Covered.TRANSACTION: "transaction",
    },
    own_record="What is not proved is the record of the charging station alone.",
    key="Key (SHA-256)",
    key_origins={
        KeyOrigin.TRUSTED: "the key this meter is trusted by",
        KeyOrigin.RECEIPT: "the key in the receipt; compare it with the one printed on the meter",
    },
    gaps="Not watched throughout",
    gap_kinds={
        GapKind.METER_UNREACHABLE: "the meter could not be reached",
        GapKind.CLOCK_UNSYNCHRONIZED: "the meter's clock was not synchronized",
        GapKind.NOT_WATCHED: "Home Assistant was not watching the meter",
    },
    more="... and {count} more",
    signed_data="Signed data",
    public_key="Public key",
    record="Archive record",
    sessions="Sessions",
    total="Total",
    total_billable="of which billable",
    period="Period",
    unknown_energies="Sessions whose energy is not known, and which no total has: {count}.",
)

GERMAN = Words(
    decimal_mark=",",
    thousands_mark=".",
    date_format="%d.%m.%Y",
    time_format="%H:%M:%S",
    receipt="Ladebeleg",
    statement="Ladeübersicht",
    issuer="Aussteller",
    recipient="Für",
    created="Erstellt",
    page_of="Seite {page} von {pages}",
    transaction="Ladevorgang",
    meter="Zähler",
    model="Modell",
    charge_point="Ladepunkt",
    user="Nutzer",
    begin="Beginn",
    end="Ende",
    duration="Dauer",
    clock="Zeiten",
    clocks={
        TimeSource.SIGNED: "vom Zähler signiert",
        TimeSource.METER: "Uhr des Zählers, nicht signiert",
        TimeSource.HOME_ASSISTANT: "Uhr von Home Assistant, nicht signiert",
    },
    registers="Zählerstände",
    imported="Bezug",
    exported="Einspeisung",
    energy="Energie",
    not_signed="nicht signiert",
    price="Preis",
    cost="Betrag",
    currency="Währung",
    tariff="Tariftext",
    client="Kunde",
    tariff_id="Tarif",
    cable="Kabel",
    user_data="Weitere Daten",
    unknown="unbekannt",
    yes="ja",
    no="nein",
    verdict="Ergebnis",
    verdicts={
        Verdict.VALID: "Gültig",
        Verdict.INVALID: "Ungültig",
        Verdict.UNVERIFIABLE: "Nicht prüfbar",
    },
    nothing_signed="Nicht signiert",
    nothing_signed_reason="Der Zähler hat zu diesem Ladevorgang nichts signiert; die Zählerstände sind die von Home Assistant gelesenen.",
    reasons={
        Reason.GENUINE: "Die Signatur ist echt: Nichts, was sie abdeckt, wurde verändert.",
        Reason.SIGNATURE_MISMATCH: "Die Signatur passt nicht zu den Daten: Eines von beiden wurde verändert.",
        Reason.KEY_CHANGED: "Mit einem anderen Schlüssel signiert als dem, dem bei diesem Zähler vertraut wird.",
        Reason.OTHER_METER: "Beginn und Ende wurden von zwei Zählern signiert.",
        Reason.RUNS_BACKWARDS: "Ein Zählwerk läuft zwischen Beginn und Ende rückwärts.",
        Reason.NO_KEY: "Es fehlt der öffentliche Schlüssel, um die Signatur zu prüfen.",
        Reason.UNKNOWN_ALGORITHM: "Format oder Verfahren der Signatur ist nicht bekannt.",
        Reason.DAMAGED: "Die signierten Daten, die Signatur oder der Schlüssel sind beschädigt.",
    },
    billable="Abrechenbar",
    not_billable="Nicht abrechenbar",
    why="Gründe",
    objections={
        Objection.NO_BEGIN: "Der Beginn fehlt.",
        Objection.NO_END: "Das Ende fehlt.",
        Objection.SEVERAL_BEGINS: "Es gibt mehr als einen Beginn.",
        Objection.SEVERAL_ENDS: "Es gibt mehr als ein Ende.",
        Objection.NO_BILLING_REGISTER: "Es wurde kein Zählwerk gelesen, das zur Abrechnung taugt.",
        Objection.OTHER_REGISTER: "Beginn und Ende stammen aus zwei Zählwerken.",
        Objection.REGISTER_BACKWARDS: "Das Zählwerk läuft rückwärts.",
        Objection.TIME_BACKWARDS: "Die Zeit läuft rückwärts.",
        Objection.MIXED_TIME: "Eine Zeit ist relativ, die andere absolut.",
        Objection.STATUS_NOT_GOOD: "Der Status des Zählers war nicht gut.",
        Objection.ENERGY_FLAGGED: "Der Zähler selbst nennt seine Energie nicht verwendbar.",
        Objection.IDENTIFICATION_LEVEL: "Die Identifizierung des Nutzers ist gescheitert.",
        Objection.NOT_A_TRANSACTION: "Der Zähler hat es nicht als Ladevorgang gezählt.",
        Objection.OTHER_METER: "Beginn und Ende stammen von zwei Zählern.",
        Objection.OTHER_USER: "Beginn und Ende nennen zwei Nutzer, oder der Beleg einen anderen als den, für den gestartet wurde.",
        Objection.LIVE_REGISTER_DIFFERS: "Der neben dem Beleg gelesene Zählerstand weicht vom signierten ab.",
    },
    caveats={
        Caveat.TIME_UNSYNCHRONIZED: "Die Uhr des Zählers war nicht synchronisiert.",
        Caveat.SIGNATURE_FORM: "Die Signatur ist echt, aber in einer Form geschrieben, die strenge Programme ablehnen.",
    },
    charge_point_frozen="Der Zähler hatte einen anderen Ladepunkt als den eingestellten.",
    covers="Bewiesen",
    covers_not="Nicht bewiesen",
    covered={
        Covered.METER: "Zähler",
        Covered.READING: "Zählerstände",
        Covered.TIME: "Zeit",
        Covered.USER: "Nutzer",
        Covered.TARIFF: "Tariftext",
        Covered.TRANSACTION: "Ladevorgang",
    },
    own_record="Was nicht bewiesen ist, ist allein die Aufzeichnung der Ladestation.",
    key="Schlüssel (SHA-256)",
    key_origins={
        KeyOrigin.TRUSTED: "der Schlüssel, dem bei diesem Zähler vertraut wird",
        KeyOrigin.RECEIPT: "der Schlüssel aus dem Beleg; mit dem auf dem Zähler vergleichen",
    },
    gaps="Nicht durchgehend beobachtet",
    gap_kinds={
        GapKind.METER_UNREACHABLE: "der Zähler war nicht erreichbar",
        GapKind.CLOCK_UNSYNCHRONIZED: "die Uhr des Zählers war nicht synchronisiert",
        GapKind.NOT_WATCHED: "Home Assistant hat den Zähler nicht beobachtet",
    },
    more="... und {count} weitere",
    signed_data="Signierte Daten",
    public_key="Öffentlicher Schlüssel",
    record="Archiveintrag",
    sessions="Ladevorgänge",
    total="Summe",
    total_billable="davon abrechenbar",
    period="Zeitraum",
    unknown_energies="Ladevorgänge, deren Energie nicht bekannt ist und in keiner Summe steht: {count}.",
)

WORDS = {Language.ENGLISH: ENGLISH, Language.GERMAN: GERMAN}
