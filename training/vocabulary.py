"""The closed vocabulary of ``mini``: every word its text tower knows.

``RENDERED`` words occur in training captions. ``PRESENT`` words have an id, so that prompts with
them tokenize without an unknown word, but no rendered picture ever gave them a meaning.
"""

from __future__ import annotations

from training.catalogue.parts import PARTS
from training.catalogue.surfaces import SURFACES
from training.palette import COLOURS, MATERIALS
from training.seeds import NEVER_TRAINED

__all__ = [
    "ADJECTIVES",
    "BAD_STATES",
    "DEFECT_PHRASES",
    "GOOD_STATES",
    "PRESENT",
    "RENDERED",
    "TEMPLATES",
    "WORDS",
]

# WinCLIP's states and templates (methods note, section 0), so that its prompts are in the world.
GOOD_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
    "good {}",
    "intact {}",
)
BAD_STATES = (
    "damaged {}",
    "{} with flaw",
    "{} with defect",
    "{} with damage",
    "broken {}",
    "defective {}",
    "bad {}",
)
ADJECTIVES = ("cropped", "close-up", "bright", "dark", "jpeg corrupted", "blurry")
TEMPLATES = tuple(
    template
    for article in ("a", "the")
    for template in (
        *(f"a {adjective} photo of {article} {{}}." for adjective in ADJECTIVES),
        f"a photo of {article} {{}}.",
        f"a photo of {article} small {{}}.",
        f"a photo of {article} large {{}}.",
        f"a photo of {article} {{}} for visual inspection.",
        f"a photo of {article} {{}} for anomaly detection.",
    )
)
# defect kind -> ways to say it about a name
DEFECT_PHRASES: dict[str, tuple[str, ...]] = {
    "bent": ("bent {}", "deformed {}", "twisted {}"),
    "chip": ("chipped {}", "{} with a chip", "{} with a broken edge"),
    "crack": ("cracked {}", "{} with a crack"),
    "dent": ("dented {}", "{} with a dent", "{} with a bump"),
    "foreign body": ("{} with a foreign body", "contaminated {}", "{} with a fibre on it"),
    "hole": ("{} with a hole", "{} with a pit", "pierced {}"),
    "misplaced part": ("{} with a misplaced part", "misaligned {}"),
    "missing part": ("{} with a missing part", "incomplete {}"),
    "print error": ("{} with a print error", "misprinted {}"),
    "scratch": ("scratched {}", "{} with a scratch", "{} with scratches"),
    "stain": ("stained {}", "{} with a stain", "dirty {}", "{} with a spot"),
    "wrong colour": ("{} with a wrong colour", "discoloured {}", "{} with the wrong color"),
}

_GRAMMAR = """a the an of on in for with and photo picture image close - up . , small large object
surface part background grey made visual inspection anomaly detection"""
_PRESENT = """hazelnut toothbrush almond nuts bolts screws washers gears caps bottles plates rings
boards tiles bottle top lid tin can box bag pouch jar tube pipe hose wire spring rivet nail pin plug
socket switch lamp bulb lens mirror glass window door handle knob wheel tyre tire belt chain hook
clip clamp pump valve piston blade knife scissors spoon fork cup mug bowl dish sponge cloth thread
yarn rope string tape foil sheet panel frame tray lattice mesh net fence brick block slab bar rod
beam sensor chip pcb pcb1 pcb2 pcb3 pcb4 capacitor resistor diode led circuit fuse relay motor
magnet coil candle candles capsules macaroni macaroni1 macaroni2 cashew chewinggum fryum pipe_fryum
chewing gum fruit apple orange lemon tomato potato bread cake rice bean seed leaf flower tablet
vial syringe bandage glove mask needle bearing comb terrazzo scales wafer semiconductor display
screen phone keyboard cell solar module electroluminescence casting weld steel aluminium aluminum
iron brass bronze copper chrome zinc carbon fiber fibre foam wool silk cotton felt nylon ceramic
porcelain clay marble granite sand asphalt
round square triangular rectangular oval hexagonal circular flat curved straight long short thick
thin wide narrow smooth rough shiny matte transparent striped dotted plain clean dirty new old wet
dry hot cold open closed empty full left right top bottom middle center centre corner edge inside
outside above below front back side
one two three four five six seven eight nine ten zero many few several some all no none single
double pair
ok okay fine correct acceptable normal abnormal anomalous anomaly faulty fault failure reject
rejected rust rusty corroded corrosion burn burnt oxidized worn wear tear torn cut hole holes
cracks chips dents stains spots scratch bubble blister wrinkle fold crease smudge fingerprint dust
oil grease paint glue residue burr gap leak melted rotten mould mold loose missing extra wrong
swapped reversed upside down shifted rotated tilted squeezed poke faulty imprint contamination
color colour liquid manipulated front thread side fabric interior border rough split teeth
broken combined glue_strip gray_stroke gray stroke oil strip bent wire cable swap outer inner
insulation poke cut lead case damaged misplaced scratch neck head is are was it this that there
which what how who why where when does do not and or but from to at by as has have no yes
good bad perfect flawless unblemished low high resolution quality black white photograph rendering
drawing illustration texture pattern material product item thing component assembly device machine
tool industrial industry factory production line view overhead above isolated table floor conveyor
light shadow lighting blurred noisy sharp focus microscope x ray scan infrared thermal cropped
person people man woman child face animal dog cat bird horse car bus truck street tree sky water
house room food toy sign text letter number word logo symbol arrow star heart circle triangle
cross"""


def _split(text: str) -> set[str]:
    for mark in ".,-":
        text = text.replace(mark, f" {mark} ")
    return {w for w in text.lower().replace("{}", " ").replace("_", " ").split() if w}


RENDERED: tuple[str, ...] = tuple(
    sorted(
        _split(_GRAMMAR)
        | _split(" ".join([*GOOD_STATES, *BAD_STATES, *TEMPLATES]))
        | _split(" ".join(p for phrases in DEFECT_PHRASES.values() for p in phrases))
        | _split(" ".join([*COLOURS, *MATERIALS]))
        | _split(" ".join(n for n in (*PARTS, *SURFACES) if n not in NEVER_TRAINED))
    )
)
PRESENT: tuple[str, ...] = tuple(sorted(_split(_PRESENT) - set(RENDERED)))
WORDS: tuple[str, ...] = tuple(sorted({*RENDERED, *PRESENT}))
