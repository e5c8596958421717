"""Characters that LaTeX's commands stand for: tables for the layers of the renderer."""

from llama_core.corpus.markup.latex.commands import words


def signs(pairs: str, after: str = "") -> dict[str, str]:
    """Return what commands print by name, from `\\name=sign` and white space. `after`: ends each sign."""
    found = (pair.partition("=") for pair in pairs.split())
    return {name: sign + after for name, _, sign in found}


# What each command prints.
SYMBOLS = (
    dict.fromkeys(
        words(
            r"\ \, \; \: \> \quad \qquad \enspace \enskip \thinspace \space \hfil \hfill \hss \nobreakspace "
            r"\hspace \linebreak \break"
        ),
        " ",
    )
    | signs(
        r"""
\%=% \&=& \$=$ \#=# \_=_ \{={ \}=} \lbrace={ \rbrace=} \ss=ß \SS=SS \ae=æ \AE=Æ \oe=œ \OE=Œ \aa=å \AA=Å \o=ø
\O=Ø \l=ł \L=Ł \i=ı \j=ȷ \dh=ð \DH=Ð \th=þ \TH=Þ \dj=đ \DJ=Đ \ng=ŋ \S=§ \P=¶ \textsection=§ \textparagraph=¶
\copyright=© \textcopyright=© \textregistered=® \texttrademark=™ \pounds=£ \textsterling=£ \texteuro=€
\euro=€ \EUR=€ \dag=† \ddag=‡ \textdagger=† \textdaggerdbl=‡ \dots=... \ldots=... \textellipsis=...
\cdots=... \textendash=– \textemdash=— \textquoteleft=' \textquoteright=' \lq=' \rq=' \textquotedblleft="
\textquotedblright=" \textquotedbl=" \textquotesingle=' \guillemotleft=« \guillemotright=» \flqq=« \frqq=»
\flq=‹ \frq=› \glq=‚ \grq=‘ \dq=" \glqq=„ \grqq=“ \textbullet=• \textperiodcentered=· \textasciitilde=~
\texttildelow=~ \textasciicircum=^ \textasciigrave=` \textunderscore=_ \textbar=| \textless=< \textgreater=>
\textbraceleft={ \textbraceright=} \textdollar=$ \textbackslash=\ \textdegree=° \degree=° \BBA=& \BCBL=,
\textquestiondown=¿ \textexclamdown=¡ \degre=° \degres=° \textpm=± \texttimes=× \textmu=µ \micro=µ
\micron=µm \arcdeg=° \degr=° \arcmin=′ \arcsec=″ \fdg=°. \farcm=′. \farcs=″. \textordfeminine=ª
\textordmasculine=º \textonehalf=½ \slash=/ \textasteriskcentered=* \textcelsius=°C \textohm=Ω \textdiv=÷
\textrightarrow=→ \textleftarrow=← \textperthousand=‰ \textnumero=№ \ier=er \iere=re \ieme=e
\guillemetleft=« \guillemetright=» \guilsinglleft=‹ \guilsinglright=› \vdots=⋮ \TeX=TeX \LaTeX=LaTeX
\LaTeXe=LaTeX2e \BibTeX=BibTeX \checkmark=✓ \cmark=✓ \xmark=✗ \figurename=Figure \tablename=Table
\sectionname=Section \appendixname=Appendix \abstractname=Abstract \refname=References
"""
    )
    | signs(
        r"""
\og=« \no=n° \numero=no \No=№ \pm=± \mp=∓ \times=× \cdot=· \approx=≈ \leq=≤ \geq=≥ \rightarrow=→
\leftarrow=← \gets=← \to=→ \and=,
""",
        after=" ",
    )
    | {"\\fg": " »", "\\BOthers": " et al", "\\textsuperscript": ""}
)

# What these print where a paper does not define them itself. Its own definitions end in `\onedot`.
ABBREVIATIONS = signs(
    r"\onedot=. \eg=e.g. \Eg=E.g. \ie=i.e. \Ie=I.e. \cf=cf. \etc=etc. \vs=vs. \wrt=w.r.t."
) | {"\\etal": "et al."}

# The combining character of each accent; the base letter is the argument.
ACCENTS = {
    '\\"': "\u0308",
    "\\'": "\u0301",
    "\\`": "\u0300",
    "\\^": "\u0302",
    "\\~": "\u0303",
    "\\=": "\u0304",
    "\\.": "\u0307",
    "\\c": "\u0327",
    "\\v": "\u030c",
    "\\u": "\u0306",
    "\\H": "\u030b",
    "\\k": "\u0328",
    "\\r": "\u030a",
    "\\d": "\u0323",
    "\\b": "\u0331",
    "\\t": "\u0361",
    "\\textcommabelow": "\u0326",
}
