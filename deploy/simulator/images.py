"""Real JPEGs and PNGs: drawings of documents and faces, plainly synthetic, the same for the same id."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from random import Random

from PIL import Image, ImageDraw, ImageFont

from deploy.simulator.dice import dice

# Between a phone's thumbnail and a scan: 20 to 300 KB with the grain below.
DOCUMENT_SIZE = (1000, 630)
FACE_SIZE = (720, 900)
# Grain makes the files as large as photographs; PNG packs it badly, so there it covers less.
GRAIN_SIZE = {"JPEG": (250, 200), "PNG": (120, 100)}
# The working set of a demo; beyond it drawing again costs some 20 ms.
KEPT_IMAGES = 256


@dataclass(frozen=True)
class Drawing:
    """One part or file as Jumio serves it."""

    data: bytes
    media_type: str


@lru_cache(maxsize=KEPT_IMAGES)
def draw(credential_id: str, classifier: str) -> Drawing:
    rng = dice("image", credential_id, classifier)
    image = _document(rng, classifier) if _is_document(classifier) else _face(rng, classifier)
    # Backs are PNG so that every set of a two-sided document has both formats.
    form = "PNG" if classifier == "BACK" or (classifier == "FACE" and rng.random() < 1 / 3) else "JPEG"
    return Drawing(_encode(_grained(image, rng, form), form), f"image/{form.lower()}")


def _is_document(classifier: str) -> bool:
    return classifier in {"FRONT", "BACK"} or classifier.startswith("PAGE")


def scribble(reference: str) -> Drawing:
    """A facemap: bytes of which nobody but Jumio knows the meaning."""
    return Drawing(dice("facemap", reference).randbytes(20_000), "application/octet-stream")


def write_pdf(reference: str) -> Drawing:
    """One page that any reader shows."""
    text = f"BT /F1 24 Tf 72 720 Td (SPECIMEN, NOT A REAL DOCUMENT) Tj 0 -40 Td ({reference}) Tj ET".encode()
    fonts = b"<< /Font << /F1 5 0 R >> >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources %s >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    body, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n" % (size, rows, size)
    return Drawing(body + table + b"startxref\n%d\n%%%%EOF\n" % len(body), "application/pdf")


def _document(rng: Random, side: str) -> Image.Image:
    image, pen = _canvas(DOCUMENT_SIZE, rng)
    pen.rounded_rectangle((20, 20, 980, 610), radius=30, outline=(60, 70, 110), width=6)
    if side == "FRONT":
        pen.rectangle((60, 150, 330, 500), fill=(225, 225, 230), outline=(60, 70, 110))
        _portrait(pen, (90, 190, 300, 480), rng)
        for row in range(7):
            pen.rectangle((380, 160 + 48 * row, 380 + rng.randint(180, 520), 182 + 48 * row), fill=(90, 95, 120))
    else:
        for stripe in range(80):
            left = 80 + 10 * stripe
            pen.rectangle((left, 120, left + rng.randint(2, 7), 260), fill=(30, 30, 30))
    pen.text(
        (60, 520), f"P<SPECIMEN<<NOT<A<REAL<DOCUMENT<{rng.randrange(10**8):08d}", fill=(20, 20, 20), font=_font(30)
    )
    pen.text((60, 50), f"SPECIMEN {side}", fill=(170, 20, 30), font=_font(64))
    return image


def _face(rng: Random, classifier: str) -> Image.Image:
    image, pen = _canvas(FACE_SIZE, rng)
    _portrait(pen, (150, 130, 570, 760), rng)
    pen.text((60, 820), f"SPECIMEN {classifier}", fill=(170, 20, 30), font=_font(52))
    return image


def _canvas(size: tuple[int, int], rng: Random) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    paper = (rng.randint(190, 235), rng.randint(200, 235), rng.randint(205, 240))
    image = Image.new("RGB", size, paper)
    return image, ImageDraw.Draw(image)


def _portrait(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], rng: Random) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    skin = (rng.randint(120, 235), rng.randint(90, 190), rng.randint(70, 160))
    pen.ellipse(box, fill=skin, outline=(50, 40, 40), width=3)
    for eye in (0.3, 0.7):
        x, y, r = left + eye * width, top + 0.4 * height, 0.05 * width
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(30, 30, 40))
    pen.arc(
        (left + 0.3 * width, top + 0.55 * height, right - 0.3 * width, bottom - 0.2 * height), 20, 160, (90, 20, 30), 5
    )


def _grained(image: Image.Image, rng: Random, form: str) -> Image.Image:
    size = GRAIN_SIZE[form]
    grain = Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))
    stretched = grain if form == "PNG" else grain.resize(image.size, Image.Resampling.BILINEAR)
    if form == "PNG":
        image.paste(stretched, (image.width - size[0] - 40, image.height - size[1] - 40))
        return image
    return Image.blend(image, stretched, 0.12)


def _encode(image: Image.Image, form: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **({"quality": 85} if form == "JPEG" else {}))
    return buffer.getvalue()


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
