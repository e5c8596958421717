"""What stands between `-{` and `}-` in the Serbian Wikipedia, which is shown in two scripts.

Of the paper's 20 languages no other has this markup: there it is text, as in names of chemicals.
"""

import re

from llama_core.corpus.markup.wikitext.tree import HOLE

_INSIDE = r"(?:[^{}|\[]++|\[(?!\[))*+"  # no link or template: its bar would pass for the one after the flags
_MARKED = re.compile(rf"-\{{(?:({_INSIDE})\|)?({_INSIDE})\}}-")
_RULES_END = re.compile(r";\s*(?=sr(?:-\w{2,4})?\s*:|$)")
_RULE = re.compile(r"\s*(sr(?:-ec|-el|-cyrl|-latn)?)\s*:(.*)", re.DOTALL)
_OLD_CODES = {"sr-cyrl": "sr-ec", "sr-latn": "sr-el"}
_NAMES = {"sr": "српски / srpski", "sr-ec": "српски (ћирилица)", "sr-el": "srpski (latinica)"}
# No text holds this character. It parts `-{{{`, which is this markup around a template and no parameter.
_SPLIT = "\x04"


def applies_to(language: str) -> bool:
    """Tell whether the Wikipedia of `language` is shown in two scripts."""
    return language == "sr"


def before_templates(text: str) -> str:
    """Render the markup that holds no link or template, so that its bars do not pass for a template's."""
    return in_one_script(text.replace("-{{{", f"-{{{_SPLIT}{{{{"))


def after_templates(text: str) -> str:
    """Render what is left once the templates and links inside are plain text."""
    return in_one_script(text.replace(_SPLIT, ""))


def in_one_script(text: str) -> str:
    """Replace each `-{...}-` that holds no link or template by what MediaWiki shows of it."""
    return _MARKED.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    """Return what MediaWiki shows of `-{flag;flag|text}-` to a reader who chose no script."""
    flags = {flag.strip() for flag in (found[1] or "").split(";")}
    text = found[2]
    if "R" in flags:
        return text
    if "N" in flags:
        return _NAMES.get(text.strip(), "")
    if "-" in flags:
        return HOLE
    rules = _rules(text)
    if "D" in flags and rules:
        return "".join(f"{_NAMES[code]}:{words};" for code, words in rules.items())
    if "H" in flags or ("T" in flags and "A" not in flags):
        return HOLE
    return next((rules[code] for code in ("sr", "sr-ec", "sr-el") if code in rules), text)


def _rules(text: str) -> dict[str, str]:
    """Return the text for each script, out of rules such as `sr-ec:кафа; sr-el:kafa`."""
    found = filter(None, map(_RULE.match, _RULES_END.split(text)))
    return {_OLD_CODES.get(rule[1], rule[1]): rule[2].strip() for rule in found if rule[2].strip()}
