"""Shortening a project's name to what fits into Spectrum, as a bookkeeper would.

A suggestion only: the approver sees it and decides.
"""

import re
from collections.abc import Callable

ABBREVIATIONS = {
    "addition": "Addn", "additions": "Addns", "administration": "Admin", "administrative": "Admin",
    "airport": "Arpt", "and": "&", "apartment": "Apt", "apartments": "Apts", "associates": "Assoc",
    "association": "Assn", "avenue": "Ave", "boulevard": "Blvd", "bridge": "Brg", "building": "Bldg",
    "buildings": "Bldgs", "center": "Ctr", "centre": "Ctr", "church": "Ch", "college": "Coll",
    "commercial": "Comm", "community": "Cmty", "company": "Co", "construction": "Const", "corporation": "Corp",
    "county": "Cnty", "court": "Ct", "courthouse": "Cths", "demolition": "Demo", "department": "Dept",
    "development": "Dev", "distribution": "Dist", "district": "Dist", "division": "Div", "drive": "Dr",
    "east": "E", "electrical": "Elec", "elementary": "Elem", "emergency": "Emerg", "engineering": "Engr",
    "expansion": "Exp", "facility": "Fac", "facilities": "Facs", "floor": "Flr", "foundation": "Fdn",
    "fort": "Ft", "garage": "Gar", "government": "Govt", "headquarters": "HQ", "heights": "Hts", "highway": "Hwy",
    "hospital": "Hosp", "improvement": "Impr", "improvements": "Imprs", "incorporated": "Inc",
    "industrial": "Ind", "infrastructure": "Infra", "installation": "Inst", "international": "Intl",
    "junction": "Jct", "laboratory": "Lab", "library": "Lib", "maintenance": "Maint", "management": "Mgmt",
    "manufacturing": "Mfg", "mechanical": "Mech", "medical": "Med", "memorial": "Meml", "mount": "Mt",
    "municipal": "Muni", "national": "Natl", "north": "N", "northeast": "NE", "northwest": "NW",
    "office": "Ofc", "offices": "Ofcs", "parking": "Pkg", "parkway": "Pkwy", "phase": "Ph", "place": "Pl",
    "plaza": "Plz", "project": "Proj", "regional": "Rgnl", "remodel": "Rmdl", "renovation": "Reno",
    "renovations": "Renos", "repair": "Rpr", "repairs": "Rprs", "replacement": "Repl", "residence": "Res",
    "residential": "Res", "restoration": "Rest", "road": "Rd", "school": "Sch", "schools": "Schs",
    "sciences": "Sci", "section": "Sect", "service": "Svc", "services": "Svcs", "shopping": "Shpg",
    "south": "S", "southeast": "SE", "southwest": "SW", "square": "Sq", "station": "Sta", "street": "St",
    "structure": "Struct", "system": "Sys", "systems": "Sys", "technology": "Tech", "terminal": "Term",
    "terrace": "Ter", "transportation": "Transp", "treatment": "Trtmt", "university": "Univ",
    "gymnasium": "Gym", "auditorium": "Aud", "apparatus": "Appar", "classroom": "Clsrm", "conference": "Conf",
    "elevator": "Elev", "exterior": "Ext", "generator": "Gen", "interchange": "Intchg", "interior": "Int",
    "intersection": "Intx", "modernization": "Mod", "pavement": "Pvmt", "playground": "Plygrd", "relocation": "Reloc",
    "reservoir": "Resv", "retail": "Rtl", "seismic": "Seis", "sewer": "Swr", "sidewalk": "Sdwk",
    "upgrade": "Upgr", "upgrades": "Upgrs", "utility": "Util", "utilities": "Utils", "village": "Vlg",
    "warehouse": "Whse", "water": "Wtr", "west": "W",
}  # fmt: skip

NUMBERED = {"bldg", "dock", "lot", "ph", "sect", "sta", "suite", "unit"}  # what stands before a number
SMALL_WORDS = {"a", "an", "and", "&", "at", "by", "for", "from", "in", "of", "on", "the", "to", "with"}


def shorten(name: str, limit: int = 25) -> str:
    """Return a name of at most `limit` characters (1 or more); unchanged where it fits.

    Each step begins at the end, because a name is known by its first words, and stops once it fits.
    """
    if len(name) <= limit:
        return name
    words = _one_by_one(name.split() or [name], limit, _abbreviate)
    if not _fits(words, limit):
        words = [word for word in words if word.casefold() not in SMALL_WORDS] or words
    while not _fits(words, limit) and len(words) > 1:
        words.pop(_least_telling(words))
    return " ".join(words)[:limit].rstrip() or name[:limit]


def _fits(words: list[str], limit: int) -> bool:
    return len(" ".join(words)) <= limit


def _one_by_one(words: list[str], limit: int, change: Callable[[str], str]) -> list[str]:
    changed = list(words)
    for place in reversed(range(len(changed))):
        if _fits(changed, limit):
            break
        changed[place] = change(changed[place])
    return changed


def _abbreviate(word: str) -> str:
    """Abbreviate "Addition/Renovation" part by part, in the letters' case."""
    return re.sub(r"[A-Za-z]+", lambda part: _abbreviation(part[0]), word)


def _abbreviation(word: str) -> str:
    short = ABBREVIATIONS.get(word.casefold(), word)
    if word.isupper():
        return short.upper()
    return short.lower() if word.islower() else short


def _least_telling(words: list[str]) -> int:
    """Return the place of the last word that is neither the first, nor a number, nor what a number counts."""
    numbers = {place for place, word in enumerate(words) if re.search(r"\d", word)}
    counted = {place - 1 for place in numbers if words[place - 1].casefold() in NUMBERED}
    plain = [place for place in range(1, len(words)) if place not in numbers | counted]
    return plain[-1] if plain else len(words) - 1
