"""What a person calls a model by, turned into the URL where it lies.

A path, and the URL of a step, an export or any other folder, are what they are. Other names have the form
`SCHEME:...`, as `models:/llama-tiny@candidate` has in MLflow's registry. Who can look such a name up offers
a function as the entry point SCHEME of the group `llama_core.names`: it takes the name, returns a URL, and
raises a LlamaError. So this package needs no registry's library.
"""

from importlib.metadata import entry_points

from llama_core.errors import InputError

GROUP = "llama_core.names"
OFFERS = "llama_core.offers"  # functions without arguments, which return the names that a person may choose
EXTRAS = {"models": "pipeline"}  # the extra of this project that looks up the names of a scheme


def resolve(text: str) -> str:
    """Return the URL of what a person names; a path or URL is returned as it is.

    Raises InputError where what looks up the name is not installed, and the errors of the look-up.
    """
    scheme, colon, _ = text.partition(":")
    scheme = scheme.lower()
    points = entry_points(group=GROUP, name=scheme) if colon else ()
    if not points:
        if colon and scheme in EXTRAS:
            raise InputError(_missing(text, scheme, "this project's pipeline"))
        return text
    [point, *_] = points
    try:
        look_up = point.load()
    except ModuleNotFoundError as error:
        raise InputError(_missing(text, scheme, str(error.name))) from None
    url: str = look_up(text)
    return url


def offered() -> list[str]:
    """Return the names that a person may choose among, the best first.

    Raises InputError where nobody has any, and the errors of who looks them up.
    """
    try:
        names = [name for point in entry_points(group=OFFERS) for name in point.load()()]
    except ModuleNotFoundError as error:
        raise InputError(
            f"no model is named, and no registry can be asked: {error.name} is not installed"
        ) from None
    if not names:
        raise InputError("no model is named, and none is registered: give the URL of one")
    return names


def _missing(text: str, scheme: str, what: str) -> str:
    extra = f": pip install 'llama-pretrain[{EXTRAS[scheme]}]'" if scheme in EXTRAS else ""
    return f"to find {text}, {what} is needed, which is not installed{extra}, or give the URL of a step"
