"""A4 in the house's style: type, colours, columns and tables, and no idea what is in them.

Only the fonts that every reader has are used, so nothing is embedded and nothing fetched. Letters
that Windows-1252 lacks are shown without their marks, all else that it lacks as a replacement.
Every text is data: none is markup.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import ceil
import re
from unicodedata import combining, normalize

from fpdf import FPDF
from fpdf.drawing import PaintedPath
from fpdf.enums import (
    Align,
    MethodReturnValue,
    StrokeCapStyle,
    StrokeJoinStyle,
    XPos,
    YPos,
)

type Colour = tuple[int, int, int]

TEAL: Colour = (10, 106, 117)
AMBER: Colour = (255, 176, 46)
RED: Colour = (176, 42, 48)
INK: Colour = (11, 47, 54)
GREY: Colour = (96, 114, 118)
HAIRLINE: Colour = (205, 217, 219)
TINT: Colour = (237, 244, 245)
WHITE: Colour = (255, 255, 255)

MARGIN = 20.0
WIDTH = 210 - 2 * MARGIN
_FOOTER = 20.0
_MONO_SIZE = 6.5
_MONO_COLUMNS = 121
_MONO_LINE = 2.9
_DOT = 1.6
_LINES_OF_A_DETAIL = 5
_LINES_OF_A_COLUMN = 50
"""As many as there is room for under the head of a page: all that five lines of 255 characters
take in a third of its width."""
_LONGEST_LINE = 255

_CHARSET = "windows-1252"
_REPLACEMENT = "\xbf"
_PRINTABLE = r"\x20-\x7e\xa0-\xac\xae-\xff" + bytes(
    set(range(0x80, 0xA0)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D}
).decode(_CHARSET)
"""Windows-1252 without control characters and the soft hyphen, which would not be seen."""
_UNPRINTABLE = re.compile(f"[^{_PRINTABLE}]")
_UNPRINTABLE_IN_LINES = re.compile(f"[^{_PRINTABLE}\n]")

_PLAIN_LETTERS = dict(zip("ĐđĦħıŁłŊŋŦŧ", "DdHhiLlNnTt", strict=True)) | {"ẞ": "SS"}
"""Of letters that Unicode does not take apart."""

_PAGES = "\x1fpages\x1f"
"""Stands for the number of pages. No text can say it, for control characters are replaced."""


def plain(text: str) -> str:
    """Return what can be printed of a text, in one line."""
    return _UNPRINTABLE.sub(_nearest, normalize("NFC", " ".join(text.split())))


def lines_of(text: str) -> str:
    """Return what can be printed of a text, in its lines."""
    lines = "\n".join(text.strip().splitlines())
    return _UNPRINTABLE_IN_LINES.sub(_nearest, normalize("NFC", lines))


def _nearest(match: re.Match[str]) -> str:
    """Return a letter without its marks; the replacement for what is none, or of other script."""
    letter = match[0]
    nearest = _PLAIN_LETTERS.get(letter) or "".join(
        part for part in normalize("NFKD", letter) if not combining(part)
    )
    if nearest.isalpha() and not _UNPRINTABLE.search(nearest):
        return nearest
    return _REPLACEMENT


def escaped(text: str) -> str:
    """Return a text in full, with what cannot be printed as an escape sequence."""
    return _UNPRINTABLE.sub(
        lambda match: match[0].encode("unicode_escape").decode(), text
    )


def cut(text: str, length: int) -> str:
    """Return a text of at most so many characters; where it was longer, it shows."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


class Paper(FPDF):
    """Pages with a head, a foot and blocks that follow each other."""

    def __init__(self, *, language: str, created_at: datetime, page_of: str) -> None:
        """Begin. ``page_of`` has ``{page}`` and ``{pages}``."""
        super().__init__(format="A4")
        self.core_fonts_encoding = _CHARSET
        self._page_of = page_of
        self._foot = ""
        self.set_creation_date(created_at)
        self.set_producer("DC Charging Meter")
        self.set_lang(language)
        self.set_margins(MARGIN, 16, MARGIN)
        self.set_auto_page_break(auto=True, margin=_FOOTER)
        self.alias_nb_pages(_PAGES)
        self.c_margin = 0

    def footer(self) -> None:
        """Say what the page belongs to, and which it is."""
        self.set_y(-13)
        self._ink(GREY, 7)
        self.cell(WIDTH - 40, 4, self._shortened(self._foot, WIDTH - 45))
        page = self._page_of.format(page=self.page_no(), pages=_PAGES)
        # The stand-in is wider than the number it becomes.
        shown = self.get_string_width(page.replace(_PAGES, str(self.page_no())))
        self.set_x(MARGIN + WIDTH - shown)
        self.cell(shown, 4, page)

    def head(self, title: str, subtitle: str, note: str) -> None:
        """Begin a new page under a title."""
        # A new page first writes the foot of the one before.
        self.add_page()
        self._foot = subtitle or title
        top = self.get_y()
        self._icon(MARGIN, top, 13)
        self._put(MARGIN + 18, top, plain(title), size=19, bold=True, height=8)
        self.set_xy(MARGIN + 18, top + 8.2)
        self._ink(GREY, 8.5)
        self.cell(94, 4.5, self._shortened(subtitle, 92))
        self.cell(WIDTH - 112, 4.5, plain(note), align=Align.R)
        self.set_y(top + 18)

    def columns(self, texts: Iterable[tuple[str, str]]) -> None:
        """Put a few texts of several lines side by side, between two lines."""
        texts = [
            (label, "\n".join(cut(line, _LONGEST_LINE) for line in text.splitlines()))
            for label, text in texts
            if text.strip()
        ]
        if not texts:
            return
        self._rule()
        self.ln(2.5)
        self._grid(texts, len(texts), _LINES_OF_A_COLUMN)
        self.ln(0.5)

    def figures(self, figures: Sequence[tuple[str, str, str]]) -> None:
        """Show what matters most: label, number, unit."""
        top, height = self.get_y() + 1, 21.0
        self.set_fill_color(*TINT)
        self.rect(
            MARGIN, top, WIDTH, height, style="F", round_corners=True, corner_radius=2.5
        )
        width = WIDTH / len(figures)
        for place, (label, number, unit) in enumerate(figures):
            left = MARGIN + 6 + place * width
            self._put(left, top + 3.2, plain(label), colour=GREY, size=7.5)
            number = plain(number)
            self._ink(INK, 21 if place == 0 else 15, bold=True)
            self._fit(number, width - 24)
            shown = self.get_string_width(number)
            self.set_xy(left, top + 8)
            self.cell(shown, 9, number)
            self._ink(INK, 10)
            self.set_xy(left + shown + 1.6, top + 9.2)
            self.cell(0, 8, self._shortened(unit, 14))
        self.set_y(top + height + 4)

    def remark(
        self, title: str, colour: Colour, sentences: Sequence[str], small: Sequence[str]
    ) -> None:
        """Set a judgement apart with a bar in its colour."""
        self._room(14 + 4.4 * (len(sentences) + len(small)))
        top, page = self.get_y(), self.page_no()
        self._put(MARGIN + 5, top, plain(title), size=12, bold=True, height=6)
        self.set_y(top + 6.8)
        for texts, ink, size, line in (
            (sentences, INK, 9, 4.4),
            (small, GREY, 7.5, 3.9),
        ):
            self._ink(ink, size)
            for text in texts:
                self.set_x(MARGIN + 5)
                self._wrap(WIDTH - 5, cut(plain(text), 600), line)
            self.ln(0.8)
        bottom = self.get_y() - 0.8
        if self.page_no() == page:
            self.set_fill_color(*colour)
            self.rect(MARGIN, top + 0.6, 1.6, bottom - top, style="F")
        self.ln(5)

    def details(self, details: Iterable[tuple[str, str]]) -> None:
        """List labelled texts in two columns; what is empty is left out."""
        self._rule()
        self.ln(3)
        self._grid([one for one in details if one[1].strip()], 2, _LINES_OF_A_DETAIL)
        self.ln(1)

    def section(self, title: str) -> None:
        """Begin a section."""
        self._room(16)
        self._rule()
        self.ln(2.6)
        self._put(MARGIN, self.get_y(), plain(title), size=9.5, bold=True, height=5)
        self.ln(6)

    def sentences(self, sentences: Iterable[str]) -> None:
        """Write sentences, one below the other."""
        self._ink(INK, 8.5)
        for sentence in sentences:
            self._wrap(WIDTH, cut(plain(sentence), 600), 4.3)
        self.ln(3)

    def table_row(
        self,
        cells: Sequence[str],
        columns: Sequence[tuple[float, Align]],
        *,
        size: float = 9,
        colour: Colour = INK,
        bold: bool = False,
        dot: Colour | None = None,
    ) -> None:
        """Write a line of a table: texts at the left, numbers at the right.

        ``dot`` is the colour of a dot in the centred column.
        """
        height = size * 0.62
        for text, (width, align) in zip(cells, columns, strict=True):
            if align is Align.C and dot:
                self.set_fill_color(*dot)
                left = self.get_x() + (width - _DOT) / 2
                self.ellipse(
                    left, self.get_y() + (height - _DOT) / 2, _DOT, _DOT, style="F"
                )
            self._ink(colour, size, bold=bold)
            if align is Align.R:
                self._fit(text := plain(text), width - 1)
            else:
                text = self._shortened(text, width - 1.5)
            self.cell(width, height, text, align=align)
        self.ln(height)
        self._rule(0.15)

    def signed(self, label: str, text: str) -> None:
        """Print a signed text in full, in as many lines and pages as it takes."""
        text = escaped(text)
        self._room(12)
        self._put(MARGIN, self.get_y(), plain(label), colour=GREY, size=7.5)
        self.ln(4.6)
        self.set_font("Courier", size=_MONO_SIZE)
        self.set_text_color(*INK)
        for line in range(ceil(len(text) / _MONO_COLUMNS)):
            self.cell(
                WIDTH,
                _MONO_LINE,
                text[line * _MONO_COLUMNS : (line + 1) * _MONO_COLUMNS],
                new_x=XPos.LMARGIN,
                new_y=YPos.NEXT,
            )
        self.ln(2.5)

    def has_room(self, height: float) -> bool:
        """Tell whether a block of this height fits on the page."""
        return self.get_y() + height <= self.page_break_trigger

    # What blocks are made of

    def _room(self, height: float) -> None:
        if not self.has_room(height):
            self.add_page()

    def _ink(self, colour: Colour, size: float, *, bold: bool = False) -> None:
        self.set_font("Helvetica", "B" if bold else "", size)
        self.set_text_color(*colour)

    def _put(
        self,
        x: float,
        y: float,
        text: str,
        *,
        colour: Colour = INK,
        size: float,
        bold: bool = False,
        height: float = 4.5,
    ) -> None:
        self._ink(colour, size, bold=bold)
        self.set_xy(x, y)
        self.cell(0, height, text)

    def _wrap(self, width: float, text: str, line: float) -> None:
        self.multi_cell(
            width, line, text, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def _rule(self, weight: float = 0.25) -> None:
        self.set_draw_color(*HAIRLINE)
        self.set_line_width(weight)
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())

    def _grid(
        self, texts: Sequence[tuple[str, str]], columns: int, most_lines: int
    ) -> None:
        width = WIDTH / columns
        for start in range(0, len(texts), columns):
            self._room(24)
            top = bottom = self.get_y()
            for place, (label, text) in enumerate(texts[start : start + columns]):
                left = MARGIN + place * width
                self._put(left, top, plain(label), colour=GREY, size=7.5)
                self.set_xy(left, top + 4)
                self._ink(INK, 9.5)
                shown = self._first_lines(text, width - 6, most_lines)
                self._wrap(width - 6, shown, 4.5)
                bottom = max(bottom, self.get_y())
            self.set_y(bottom + 2)

    def _first_lines(self, text: str, width: float, most: int) -> str:
        """Return as much of a text as has room; where there was more, it shows."""
        found = self.multi_cell(
            width,
            text=lines_of(cut(text, 1300)),
            align=Align.L,
            dry_run=True,
            output=MethodReturnValue.LINES,
        )
        assert isinstance(found, list)
        # They come back as the bytes they are printed with, one character each.
        lines = [line.encode("latin-1").decode(_CHARSET) for line in found]
        if len(lines) > most:
            lines[most - 1 :] = ["\u2026"]
        return "\n".join(lines)

    def _fit(self, text: str, width: float) -> None:
        """Make the type as small as a text needs it."""
        if (shown := self.get_string_width(text)) > width:
            self.set_font_size(self.font_size_pt * width / shown)

    def _shortened(self, text: str, width: float) -> str:
        text = cut(plain(text), 120)
        while len(text) > 1 and self.get_string_width(text) > width:
            text = cut(text, len(text) - 1)
        return text

    def _icon(self, x: float, y: float, size: float) -> None:
        """Draw the mark: a gauge, a tick, a display."""
        unit = size / 256
        self.set_fill_color(*TEAL)
        self.rect(
            x, y, size, size, style="F", round_corners=True, corner_radius=56 * unit
        )
        gauge = PaintedPath(x + 36 * unit, y + 136 * unit)
        gauge.arc_to(
            92 * unit, 92 * unit, 0, False, True, x + 220 * unit, y + 136 * unit
        )
        self._stroke(gauge, WHITE, 24 * unit, StrokeCapStyle.BUTT)
        for colour, width in ((TEAL, 58), (AMBER, 30)):
            tick = PaintedPath(x + 88 * unit, y + 114 * unit)
            tick.line_to(x + 123 * unit, y + 149 * unit)
            tick.line_to(x + 203 * unit, y + 53 * unit)
            self._stroke(tick, colour, width * unit, StrokeCapStyle.ROUND)
        self.set_fill_color(*WHITE)
        for left, top, width in (
            (64, 176, 128),
            (64, 208, 32),
            (112, 208, 32),
            (160, 208, 32),
        ):
            self.rect(
                x + left * unit,
                y + top * unit,
                width * unit,
                16 * unit,
                style="F",
                round_corners=True,
                corner_radius=4 * unit,
            )

    def _stroke(
        self, path: PaintedPath, colour: Colour, width: float, cap: StrokeCapStyle
    ) -> None:
        path.auto_close = False
        path.style.fill_color = None
        path.style.stroke_color = "#{:02x}{:02x}{:02x}".format(*colour)
        path.style.stroke_width = width
        path.style.stroke_cap_style = cap
        path.style.stroke_join_style = StrokeJoinStyle.ROUND
        with self.drawing_context() as drawing:
            drawing.add_item(path)
