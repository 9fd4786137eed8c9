"""Files that a reader has to refuse or to find empty, each for one reason."""

from fpdf import FPDF
from fpdf.enums import EncryptionMethod

from rendering.blocks import Source
from rendering.pdf import render_pdf

PASSWORD = "waalhaven-1987"  # noqa: S105 - of a sample file, printed in the README beside it
SCAN_WIDTH = 208
SCAN_HEIGHT = 296


def broken_files(source: Source) -> dict[str, bytes]:
    """Name and bytes of each broken file; `source` lends its PDF to the ones that are a real document spoiled."""
    return {
        "corrupt.pdf": _corrupt(render_pdf(source)),
        "empty.pdf": b"",
        "encrypted.pdf": _encrypted(source),
        "image_only.pdf": _image_only(),
        "not_a.docx": b"Depot notice, saved under the wrong name: this is plain text and no Word document.\n",
    }


def _corrupt(pdf: bytes) -> bytes:
    """Cut a PDF inside its first page object, as a broken upload does: the header is right, no object is whole."""
    return pdf[: pdf.index(b"/Type /Page") - 1]


def _encrypted(source: Source) -> bytes:
    page = FPDF(format="A4")
    page.set_compression(False)
    page.set_creation_date(source.date)
    page.set_title("Sealed tender")
    # RC4 is weak, and the only method that draws no random numbers: the bytes stay the same in every build.
    page.set_encryption(owner_password=PASSWORD, user_password=PASSWORD, encryption_method=EncryptionMethod.RC4)
    page.add_page()
    page.set_font("Helvetica", size=11)
    page.multi_cell(0, 6, "Sealed tender for the linehaul lanes Rotterdam to Lyon. Open only with the password.")
    return bytes(page.output())


def _image_only() -> bytes:
    """One page that holds a one-bit picture of lines, as a scanner makes it: valid, and without any text."""
    drawing = b"q 595 0 0 842 0 0 cm /Scan Do Q"
    page = b"/MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /Scan 5 0 R >> >>"
    scan = _scan()
    size = b"/Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 1" % (SCAN_WIDTH, SCAN_HEIGHT)
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R %s >>" % page,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /XObject /Subtype /Image %s /Length %d >>\nstream\n%s\nendstream" % (size, len(scan), scan),
    )
    pdf = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    xref = len(pdf)
    pdf += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    pdf += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    pdf += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)
    return bytes(pdf)


def _scan() -> bytes:
    """Rows of dark bars on white, one bit a pixel, where lines of text would be."""
    width_bytes = SCAN_WIDTH // 8
    blank = b"\xff" * width_bytes
    rows = []
    for y in range(SCAN_HEIGHT):
        in_text = 24 <= y < SCAN_HEIGHT - 24 and y % 8 < 3  # noqa: PLR2004 - margins and line pitch in pixels
        length = width_bytes - 6 - (y // 8 * 5) % 7
        rows.append(b"\xff" * 3 + b"\x11" * length + b"\xff" * (width_bytes - 3 - length) if in_text else blank)
    return b"".join(rows)
