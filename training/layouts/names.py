"""What layouts show, and the words for it."""

from __future__ import annotations

__all__ = ["COUNT_WORDS", "HAZARDS", "PICTOGRAM_WORDS", "SHAPES", "SHAPE_COLOURS", "SIGN_WORDS"]

# shape -> plural
SHAPES: dict[str, str] = {
    "arrow": "arrows",
    "circle": "circles",
    "cross": "crosses",
    "diamond": "diamonds",
    "heart": "hearts",
    "hexagon": "hexagons",
    "ring": "rings",
    "square": "squares",
    "star": "stars",
    "triangle": "triangles",
}
# Colours that a person names alike without a material beside them: no beige, silver or gold.
SHAPE_COLOURS = (
    "black",
    "blue",
    "brown",
    "cyan",
    "green",
    "grey",
    "orange",
    "pink",
    "purple",
    "red",
    "white",
    "yellow",
)
# Index is the count.
COUNT_WORDS = ("zero", "one", "two", "three", "four", "five", "six")

# What a pictogram stands on -> words before "sign"; "label" is said by its own word.
SIGN_WORDS: dict[str, tuple[str, ...]] = {
    "ban": ("round", "prohibition"),
    "circle": ("round", "mandatory"),
    "square": ("square",),
    "triangle": ("triangular",),
}

# pictogram -> what it may be called; the first is its name in words.
PICTOGRAM_WORDS: dict[str, tuple[str, ...]] = {
    "anchor": ("anchor",),
    "bed": ("bed",),
    "bell": ("bell", "alarm"),
    "bicycle": ("bicycle", "vehicle"),
    "biohazard": ("biohazard", "infection"),
    "bomb": ("bomb", "explosion", "explosive", "weapon"),
    "book": ("book",),
    "bug": ("bug", "insect", "animal"),
    "bus": ("bus", "vehicle"),
    "camera": ("camera",),
    "car": ("car", "vehicle"),
    "cat": ("cat", "animal"),
    "check mark": ("check mark", "tick", "correct", "ok"),
    "child": ("child", "person"),
    "clock": ("clock", "time"),
    "cloud": ("cloud", "weather"),
    "computer": ("computer",),
    "cross mark": ("cross mark", "wrong", "incorrect"),
    "cup": ("cup", "coffee", "drink"),
    "cutlery": ("cutlery", "food", "restaurant"),
    "dog": ("dog", "animal"),
    "drop": ("drop", "water", "liquid"),
    "electricity": ("electricity", "voltage", "high voltage", "lightning"),
    "exclamation mark": ("exclamation mark",),
    "eye": ("eye",),
    "fire": ("fire", "flame", "flammable"),
    "first aid": ("first aid", "medical", "hospital"),
    "fish": ("fish", "animal"),
    "flag": ("flag",),
    "flower": ("flower", "plant"),
    "fuel": ("fuel", "petrol"),
    "gift": ("gift",),
    "gun": ("gun", "pistol", "weapon"),
    "hand": ("hand", "stop"),
    "hourglass": ("hourglass", "time"),
    "house": ("house", "building"),
    "key": ("key",),
    "knife": ("knife", "weapon"),
    "leaf": ("leaf", "plant"),
    "letter": ("letter", "mail"),
    "light bulb": ("light bulb", "light"),
    "lock": ("lock", "locked"),
    "magnet": ("magnet", "magnetic field"),
    "magnifier": ("magnifier", "search"),
    "man": ("man", "person"),
    "moon": ("moon", "night"),
    "motorcycle": ("motorcycle", "vehicle"),
    "music": ("music",),
    "no entry": ("no entry",),
    "paw": ("paw", "animal"),
    "pencil": ("pencil", "write"),
    "person": ("person",),
    "phone": ("phone", "telephone"),
    "plane": ("plane", "vehicle"),
    "power": ("power",),
    "printer": ("printer",),
    "question mark": ("question mark", "question"),
    "radioactive": ("radioactive", "radiation"),
    "recycling": ("recycling",),
    "rocket": ("rocket", "vehicle"),
    "sad face": ("sad face", "face", "sad"),
    "scissors": ("scissors", "cut"),
    "shield": ("shield",),
    "ship": ("ship", "boat", "vehicle"),
    "skull": ("skull", "poison", "toxic", "death"),
    "smile": ("smile", "face", "happy"),
    "snowflake": ("snowflake", "cold", "weather"),
    "sun": ("sun", "weather"),
    "train": ("train", "vehicle"),
    "trash": ("trash", "waste"),
    "tree": ("tree", "plant"),
    "truck": ("truck", "vehicle"),
    "umbrella": ("umbrella", "weather"),
    "warning": ("warning", "caution"),
    "wheelchair": ("wheelchair",),
    "woman": ("woman", "person"),
    "wrench": ("wrench", "tool"),
}
# Pictograms that warn of harm: "danger" and "hazard" are true of them as well.
HAZARDS = frozenset(
    ["biohazard", "bomb", "electricity", "fire", "gun", "knife", "radioactive", "skull", "warning"]
)
