"""What lies in a bundle of receipts, and how to check each of it."""

from collections.abc import Iterator

from .parties import Language

_WHAT = {
    Language.ENGLISH: """\
CHARGING RECEIPTS

statement.pdf        all sessions in a table
sessions.csv         the same for a spreadsheet
sessions/...         one folder a session: receipt.pdf and, where the meter signed, receipt.json
                     for programs, what was signed as it was received, byte for byte, and the
                     public key (public_key.txt as the meter gives it, public_key.pem for other
                     programs)

Each receipt names its record in the archive of the charging station, a number and a hash.
Whoever keeps the archive must be able to show that record, and every one before it unchanged.
""",
    Language.GERMAN: """\
LADEBELEGE

statement.pdf        alle Ladevorgänge in einer Tabelle
sessions.csv         dasselbe für eine Tabellenkalkulation
sessions/...         ein Ordner je Ladevorgang: receipt.pdf und, wo der Zähler signiert hat,
                     receipt.json für Programme, das Signierte, so wie es empfangen wurde, Byte
                     für Byte, und der öffentliche Schlüssel (public_key.txt, wie ihn der Zähler
                     nennt, public_key.pem für andere Programme)

Jeder Beleg nennt seinen Eintrag im Archiv der Ladestation, eine Nummer und einen Hashwert.
Wer das Archiv führt, muss diesen Eintrag vorzeigen können, und alle davor unverändert.
""",
}
_KEY = {
    Language.ENGLISH: """\
First of all: a signature proves what was made with a key. Whose key it is, the meter shows:
compare the public key with the one printed on it or shown by its display.
""",
    Language.GERMAN: """\
Vor allem: Eine Signatur beweist, was mit einem Schlüssel gemacht wurde. Wessen Schlüssel es
ist, zeigt der Zähler: Vergleichen Sie den öffentlichen Schlüssel mit dem, der auf ihm steht
oder den seine Anzeige nennt.
""",
}
_OCMF = {
    Language.ENGLISH: """\
OCMF RECEIPTS (*.ocmf.txt, all of them in safe.xml)

Open safe.xml in the S.A.F.E. transparency software (https://www.safe-ev.de), choose a value
and verify it. A text begins with OCMF|, and what stands between the first and the second |
is signed. Some meters write the signature in a form that strict programs reject; in safe.xml
it is written anew, and the signed part is unchanged. On Windows, start the software with
-Dfile.encoding=UTF-8 when a receipt has letters or signs outside ASCII (such as the euro's).
""",
    Language.GERMAN: """\
OCMF-BELEGE (*.ocmf.txt, alle zusammen in safe.xml)

Öffnen Sie safe.xml mit der Transparenzsoftware von S.A.F.E. (https://www.safe-ev.de), wählen
Sie einen Wert und prüfen Sie ihn. Ein Text beginnt mit OCMF|, und was zwischen dem ersten und
dem zweiten | steht, ist signiert. Manche Zähler schreiben die Signatur in einer Form, die
strenge Programme ablehnen; in safe.xml ist sie neu geschrieben, der signierte Teil ist
unverändert. Unter Windows ist die Software mit -Dfile.encoding=UTF-8 zu starten, wenn ein Beleg
Zeichen außerhalb von ASCII enthält (etwa das Eurozeichen).
""",
}
_BLOCKS = {
    Language.ENGLISH: """\
SIGNED REGISTERS (begin.bin and end.bin)

The transparency software does not know these. Check them with verify_dct1.py, which is short
enough to be read, and needs Python 3.9 or newer and the package cryptography:

    pip install cryptography
    python verify_dct1.py
    python verify_dct1.py sessions/FOLDER --public-key KEY_PRINTED_ON_THE_METER

Each file is the 154 bytes the meter signed, then the signature (ECDSA, r and s of equal
length: brainpoolP384r1 with SHA-384, or brainpoolP256r1 with SHA-256). It proves the meter and
its registers at begin and end; one of the two files alone, no energy. Time, user and price are
not signed.
""",
    Language.GERMAN: """\
SIGNIERTE ZÄHLERSTÄNDE (begin.bin und end.bin)

Die Transparenzsoftware kennt diese nicht. Prüfen Sie sie mit verify_dct1.py, das kurz genug
zum Durchlesen ist und Python 3.9 oder neuer und das Paket cryptography braucht:

    pip install cryptography
    python verify_dct1.py
    python verify_dct1.py sessions/ORDNER --public-key SCHLÜSSEL_AUF_DEM_ZÄHLER

Jede Datei besteht aus den 154 Bytes, die der Zähler signiert hat, und der Signatur (ECDSA, r
und s gleich lang: brainpoolP384r1 mit SHA-384 oder brainpoolP256r1 mit SHA-256). Bewiesen sind
der Zähler und seine Stände zu Beginn und Ende; durch nur eine der beiden Dateien keine Energie.
Zeit, Nutzer und Preis sind nicht signiert.
""",
}
_LEFT_OUT = {
    Language.ENGLISH: "Sessions that safe.xml cannot express and does not have: {count}.\n",
    Language.GERMAN: "Ladevorgänge, die safe.xml nicht ausdrücken kann und nicht enthält: {count}.\n",
}


def readme(
    language: Language, *, has_ocmf: bool, has_blocks: bool, left_out: int
) -> bytes:
    """Explain the files that are there, as text for any editor."""

    def parts() -> Iterator[str]:
        yield _WHAT[language]
        yield _KEY[language]
        if has_ocmf:
            yield _OCMF[language]
            if left_out:
                yield _LEFT_OUT[language].format(count=left_out)
        if has_blocks:
            yield _BLOCKS[language]

    return "\n".join(parts()).replace("\n", "\r\n").encode("utf-8-sig")
