"""What the units and prefixes of siunitx print, by name, and the units that are put together from them."""

from collections.abc import Mapping, Sequence

from llama_core.corpus.markup.latex.commands import FONTS, words

_PREFIXES = """
quecto=q ronto=r yocto=y zepto=z atto=a femto=f pico=p nano=n micro=µ milli=m centi=c deci=d deca=da deka=da
hecto=h kilo=k mega=M giga=G tera=T peta=P exa=E zetta=Z yotta=Y ronna=R quetta=Q
mu=µ upmu=µ textmu=µ sqrt=√
kibi=Ki mebi=Mi gibi=Gi tebi=Ti pebi=Pi exbi=Ei zebi=Zi yobi=Yi
"""
# The units of siunitx, of all its versions, and those that papers declare most.
_UNITS = """
ampere=A candela=cd kelvin=K kilogram=kg metre=m meter=m mole=mol second=s gram=g
becquerel=Bq celsius=°C degreeCelsius=°C coulomb=C farad=F gray=Gy hertz=Hz henry=H joule=J katal=kat lumen=lm
lux=lx newton=N ohm=Ω pascal=Pa radian=rad siemens=S sievert=Sv steradian=sr tesla=T volt=V watt=W weber=Wb
day=d degree=° arcminute=′ arcsecond=″ arcmin=′ arcsec=″ hectare=ha hour=h litre=L liter=L minute=min tonne=t
neper=Np bel=B decibel=dB dalton=Da electronvolt=eV astronomicalunit=au atomicmassunit=u bohr=a_0 hartree=E_h
clight=c electronmass=m_e elementarycharge=e planckbar=ħ angstrom=Å bar=bar barn=b knot=kn nauticalmile=M
mmHg=mmHg percent=% permille=‰ gon=gon curie=Ci roentgen=R rem=rem rad=rad
parsec=pc lightyear=ly year=yr annum=a month=month week=wk jansky=Jy erg=erg gauss=G oersted=Oe dyne=dyn
poise=P stokes=St gal=Gal atmosphere=atm torr=Torr calorie=cal molar=M inch=in foot=ft yard=yd mile=mi
pound=lb ounce=oz pixel=px byte=B bit=bit baud=Bd
ppm=ppm ppb=ppb ppt=ppt ppmv=ppmv rpm=rpm dBm=dBm dBi=dBi psi=psi
degC=°C degF=°F degreecelsius=°C
celsiusdegree=°C fahrenheit=°F degreeFahrenheit=°F solarmass=M☉ solarradius=R☉ solarluminosity=L☉ msun=M☉
Omega=Ω upOmega=Ω circ=° odot=⊙ prime=′
micron=µm um=µm kWh=kWh kwh=kWh eVperc=eV/c
"""
# The units that siunitx has by a letter, with a prefix of one letter before them: \\pF and \\kHz.
_SHORT = "m g s A K mol cd Hz N Pa ohm V W J eV Wh F H C T S B Bq Sv Gy Ci l L b bar bit pc Jy G M"
_PREFIX_LETTERS = frozenset("pnµmkMGT")  # that may be written before a unit by name
_LETTERS = "yzafpnumcdhkMGTPEZY"


def _table(pairs: str) -> dict[str, str]:
    return {f"\\{name}": sign for name, _, sign in (pair.partition("=") for pair in pairs.split())}


PREFIXES = _table(_PREFIXES)
UNITS = _table(_UNITS)
_ABBREVIATED = {f"\\{name}": "Ω" if name == "ohm" else name for name in _SHORT.split()}
_POWERS = {"\\squared": "2", "\\cubed": "3"}
_POWERS_AHEAD = {"\\square": "2", "\\cubic": "3"}
# Commands of other kinds in the argument of a unit: fonts, and spaces.
_SILENT = FONTS | words(
    r"\mathrm \mathit \mathsf \mathup \unit \si \ensuremath \relax \highlight \, \: \; \! \cdot \times "
    r"\left \right \usk \textsuperscript"
)
_SPACES = frozenset(("\\,", "\\:", "\\;", "\\cdot", "\\times", "\\usk"))


def sign_of(name: str, own: Mapping[str, Sequence[str]]) -> str | None:
    """Return what a unit prints; None if it is not known. `own`: the units that a paper declares."""
    if name in own:
        return unit("".join(own[name]), tokens=own[name], own={})
    if (sign := UNITS.get(name) or _ABBREVIATED.get(name)) is not None:
        return sign
    if len(name) > 2 and name[1] in _LETTERS and (sign := _ABBREVIATED.get("\\" + name[2:])) is not None:
        return ("µ" if name[1] == "u" else name[1]) + sign
    return None


def is_unit(name: str) -> bool:
    """Tell whether a command is one of those that units are written with."""
    return bool(name) and (
        name in PREFIXES
        or name in UNITS
        or name in _POWERS
        or name in _POWERS_AHEAD
        or name in ("\\per", "\\usk", "\\tothe")
    )


class _Part:
    """A unit of a product: its sign, its power, and whether the product is divided by it."""

    __slots__ = ("divides", "power", "sign")

    def __init__(self, sign: str, power: str, divides: bool):
        self.sign, self.power, self.divides = sign, power, divides

    def __str__(self) -> str:
        return f"{self.sign}^{self.power}" if self.power else self.sign


def unit(text: str, tokens: Sequence[str], own: Mapping[str, Sequence[str]]) -> str:
    """Return what a unit prints, such as `kg m/s^2`. `tokens`: those of its argument, whose text is `text`.

    A unit that is not known keeps its name.
    """
    if "\\" not in text:
        return text.replace("~", " ").replace("{", "").replace("}", "").replace(".", " ").strip()
    if any(c in t for t in tokens if t[0] != "\\" for c in "()/^_"):
        return _written(tokens, own)
    parts: list[_Part] = []
    literal: list[str] = []
    prefix, words, power, divides = "", "", "", False
    at = 0

    def group() -> str:
        """Return the text of the group that comes next, and step over it."""
        nonlocal at
        depth, found = 0, ""
        while at < len(tokens):
            token = tokens[at]
            at += 1
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
            elif token.strip() or depth:
                found += token
            if depth <= 0:
                break
        return found.strip()

    def flush(literal: Sequence[str]) -> list[str]:
        """Make a part of the characters that were not written as units. Return an empty list."""
        if written := "".join(literal).strip():
            parts.append(_Part(written, "", False))
        return []

    while at < len(tokens):
        token = tokens[at]
        name = token.rstrip()
        at += 1
        if token[0] != "\\" or name in _SILENT:
            is_space = name in _SPACES or token == "~" or not token.strip()
            if name in ("\\textsc", "\\textsuperscript"):
                literal.append(group().upper() if name == "\\textsc" else f"^{group()}")
                continue
            if token in "{}$" or (token[0] == "\\" and not is_space):
                continue
            if literal == [] and parts and parts[-1].sign == "°" and token.strip() in ("C", "F"):
                parts[-1].sign += token.strip()
            elif (prefix or power or divides) and not is_space:  # `\micro m`, `\per s`
                literal = flush(literal)
                parts.append(_Part(prefix + token.strip(), power, divides))
                prefix, power, divides = "", "", False
            else:
                literal.append(" " if is_space else token)
            continue
        if name == "\\per":
            divides = True
        elif name in PREFIXES:
            prefix, words = prefix + PREFIXES[name], words + name[1:]
        elif name in _POWERS_AHEAD:
            power = _POWERS_AHEAD[name]
        elif name in ("\\raiseto",):
            power = group()
        elif name in _POWERS and parts:
            parts[-1].power = _POWERS[name]
        elif name == "\\tothe" and parts:
            parts[-1].power = group()
        elif name in ("\\of", "\\qualifier") and parts:
            parts[-1].sign += f"_{group()}"
        elif name == "\\cancel":
            continue
        else:
            sign = sign_of(name, own)
            if len(literal) == 1 and literal[0] in _PREFIX_LETTERS:
                prefix, literal = literal[0], []
            literal = flush(literal)
            parts.append(_Part(words + name[1:] if sign is None else prefix + sign, power, divides))
            prefix, words, power, divides = "", "", "", False
    flush(literal)
    if prefix:
        parts.append(_Part(prefix, "", divides))
    return _printed(parts)


def _written(tokens: Sequence[str], own: Mapping[str, Sequence[str]]) -> str:
    """Return what a unit prints that is in part written with characters: `\\kg/(m\\,\\second\\squared)`."""
    text, power = "", ""
    joins = True  # what comes next stands at what has been written
    for token in tokens:
        name = token.rstrip() if token[0] == "\\" else token
        if name in _SPACES or name == "~" or not name.strip():
            joins = False
            text += " " if text and text[-1] not in " (/" else ""
        elif name in "{}$" or name in _SILENT:
            continue
        elif token[0] != "\\":
            text += token.replace(".", " ").strip()
            joins = text[-1:] in "(/_^"
        elif name == "\\per":
            text, joins = text.rstrip() + "/", True
        elif name in _POWERS:
            text += f"^{_POWERS[name]}"
        elif name == "\\tothe":
            text, joins = text + "^", True
        elif name in _POWERS_AHEAD:
            power = f"^{_POWERS_AHEAD[name]}"
        else:
            sign = PREFIXES.get(name) or sign_of(name, own) or name[1:]
            text += ("" if joins or text[-1:] in " (/_^" or not text else " ") + sign
            joins = name in PREFIXES
            if not joins:
                text, power = text + power, ""
    return " ".join(text.replace("^°", "°").split())


def _printed(parts: Sequence[_Part]) -> str:
    """Return a product of units: `J/(mol K)`. What stands for an exponent or a fraction in text stays."""
    above = _product([p for p in parts if not p.divides])
    below = [p for p in parts if p.divides]
    divisor = _product(below)
    if not divisor:
        return above
    return f"{above or '1'}/{divisor if len(below) == 1 else f'({divisor})'}"


def _product(parts: Sequence[_Part]) -> str:
    text = ""
    for part in filter(None, map(str, parts)):
        glued = not text or part[0] in "^/_)" or text[-1] in "/("
        text += part if glued else f" {part}"
    return text
