"""What wikitext calls things in the paper's 20 languages: namespaces, sections, templates. Lower case."""

import re


def _names(text: str) -> frozenset[str]:
    """Split a list of names at commas and line ends."""
    return frozenset(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


# The namespaces of pictures and sound, and of categories: links to them are no words of the page.
MEDIA = _names("""
file, image, media, файл, картинка, медия, fitxer, imatge, soubor, fil, billede, datei, bild, medium,
archivo, imagen, medio, fichier, média, datoteka, slika, mediji, fájl, kép, immagine, file multimediale,
bestand, afbeelding, plik, grafika, ficheiro, imagem, arquivo, fișier, fişier, imagine, изображение, медиа,
датотека, слика, медиј, медија, medija, зображення, медіа, mediafile, multimedia, multimédia
""")
TEMPLATES = _names("""
template, шаблон, plantilla, šablona, skabelon, vorlage, modèle, modele, predložak, sablon, mall, predloga,
format, predefinição, sjabloon, szablon, modello, šablon
""")
CATEGORIES = _names("""
category, категория, categoria, kategorie, kategori, categoría, catégorie, kategorija, kategória,
categorie, kategoria, категорија, категорія
""")

# The codes of other Wikipedias: [[de:Titel]] is a link in the margin, not in the text.
LANGUAGE_CODES = _names("""
aa, ab, ace, af, ak, als, am, an, ang, ar, arc, ary, arz, as, ast, av, ay, az, azb, ba, ban, bar, bat-smg,
bcl, be, be-tarask, be-x-old, bg, bh, bi, bjn, bm, bn, bo, bpy, br, bs, bug, bxr, ca, cbk-zam, cdo, ce, ceb,
ch, cho, chr, chy, ckb, co, cr, crh, cs, csb, cu, cv, cy, cz, da, de, din, diq, dk, dsb, dv, dz, ee, el,
eml, en, eo, epo, es, et, eu, ext, fa, ff, fi, fiu-vro, fj, fo, fr, frp, frr, fur, fy, ga, gag, gan, gd, gl,
glk, gn, gom, got, gu, gv, ha, hak, haw, he, hi, hif, ho, hr, hsb, ht, hu, hy, hyw, hz, ia, id, ie, ig, ii,
ik, ilo, inh, io, is, it, iu, ja, jam, jbo, jp, jv, ka, kaa, kab, kbd, kbp, kg, ki, kj, kk, kl, km, kn, ko,
koi, kr, krc, ks, ksh, ku, kv, kw, ky, la, lad, lb, lbe, lez, lfn, lg, li, lij, lmo, ln, lo, lrc, lt, ltg,
lv, mai, map-bms, mdf, mg, mh, mhr, mi, min, minnan, mk, ml, mn, mo, mr, mrj, ms, mt, mus, mwl, my, myv,
mzn, na, nah, nan, nap, nb, nds, nds-nl, ne, new, ng, nl, nn, no, nov, nrm, nso, nv, ny, oc, olo, om, or,
os, pa, pag, pam, pap, pcd, pdc, pfl, pi, pih, pl, pms, pnb, pnt, ps, pt, qu, rm, rmy, rn, ro, roa-rup,
roa-tara, ru, rue, rw, sa, sah, sat, sc, scn, sco, sd, se, sg, sh, si, simple, sk, sl, sm, sn, so, sq, sr,
srn, ss, st, stq, su, sv, sw, szl, ta, tcy, te, tet, tg, th, ti, tk, tl, tn, to, tpi, tr, ts, tt, tum, tw,
ty, tyv, udm, ug, uk, ur, uz, ve, vec, vep, vi, vls, vo, wa, war, wo, wuu, xal, xh, xmf, yi, yo, za, zea,
zh, zh-cfr, zh-classical, zh-cn, zh-min-nan, zh-tw, zh-yue, zu
""")

# The titles of sections of links, references and pictures, without their commas.
LINK_SECTIONS = _names("""
see also, references, external links, external link, further reading, notes, footnotes, bibliography,
sources, citations, notes and references, references and notes, references and sources, works cited,
sources and references, literature cited, general references, explanatory notes, citations and references,
notes and citations, additional references, references and footnotes, gallery, image gallery,
references and further reading, notes and sources, endnotes, web links,
siehe auch, einzelnachweise, weblinks, literatur, quellen, anmerkungen, belege, fußnoten, nachweise, galerie,
einzelnachweise und anmerkungen, anmerkungen und einzelnachweise, literatur und quellen,
quellen und literatur, quellen und einzelnachweise, weblinks und quellen, einzelnachweise und quellen,
literatur und weblinks, anmerkungen und quellen, bilder, weblink, quelle, einzelnachweis,
voir aussi, références, liens externes, lien externe, notes et références, références et notes,
bibliographie, articles connexes, article connexe, annexes, sources et bibliographie, liens internes,
voir également, notes, sources et références, références bibliographiques, notes et sources, galerie photos,
véase también, véase además, referencias, enlaces externos, enlace externo, bibliografía, notas, fuentes,
notas y referencias, referencias y notas, notas al pie, bibliografía adicional, galería, lecturas adicionales,
note, bibliografia, voci correlate, altri progetti, collegamenti esterni, riferimenti, fonti, galleria,
note e riferimenti, galleria d'immagini, riferimenti bibliografici,
ver também, veja também, referências, ligações externas, links externos, bibliografia, notas, galeria,
notas e referências, referências bibliográficas, leitura adicional, leituras adicionais, fontes,
zie ook, referenties, externe links, externe link, externe koppelingen, bronnen, noten, literatuur,
voetnoten, noten en referenties, bronnen en referenties, bronnen en noten, galerij, literatuur en bronnen,
bronnen noten en/of referenties, bronnen noten en referenties, literatuurverwijzingen,
zobacz też, zobacz również, przypisy, linki zewnętrzne, bibliografia, uwagi, źródła, galeria,
literatura dodatkowa, uwagi i przypisy,
см. также, примечания, ссылки, литература, источники, комментарии, сноски, библиография, галерея,
примечания и ссылки, литература и источники, источники и литература, ссылки и источники,
примечания и источники, внешние ссылки, использованная литература,
див. також, дивіться також, дивись також, примітки, посилання, література, джерела, виноски, зноски, галерея,
література та джерела, джерела та література, джерела та посилання, примітки та джерела, бібліографія,
виж също, вижте също, бележки, източници, външни препратки, литература, използвана литература, препратки,
бележки и източници, източници и бележки, вижте още, галерия, библиография, допълнителна литература,
vegeu també, referències, enllaços externs, bibliografia, notes i referències, referències i notes, galeria,
reference, externí odkazy, související články, literatura, poznámky, odkazy, zdroje, citace, galerie,
poznámky a reference, literatura a odkazy, podobné články, související stránky, použitá literatura,
se også, referencer, kilder, eksterne henvisninger, noter, fodnoter, henvisninger, litteratur, galleri,
ekstern henvisning, eksterne links, eksterne kilder/henvisninger, noter og referencer, kilder og henvisninger,
povezani članci, vanjske poveznice, izvori, bilješke, vidi još, vidi i, vanjske veze, povezano, literatura,
bilješke i izvori, galerija, vanjska poveznica,
források, jegyzetek, külső hivatkozások, kapcsolódó szócikkek, további információk, hivatkozások, irodalom,
lásd még, galéria, képgaléria, fordítás, további irodalom, megjegyzések, irodalmi források,
vezi și, vezi şi, referințe, referinţe, legături externe, bibliografie, note și referințe, surse,
lectură suplimentară, note, galerie de imagini, legătură externă, lecturi suplimentare,
glej tudi, viri, sklici, zunanje povezave, opombe, literatura, reference, sklici in opombe, opombe in sklici,
viri in literatura, sklici in viri, zunanja povezava, galerija slik,
види још, види и, референце, спољашње везе, спољашње повезнице, извори, напомене, литература, види такође,
белешке, галерија, vidi još, vidi i, spoljašnje veze, reference, napomene, literatura, galerija slika,
se även, se också, källor, externa länkar, extern länk, fotnoter, noter, litteratur, referenser,
vidare läsning, tryckta källor, webbkällor, källor och noter, noter och referenser, källhänvisningar,
bildgalleri
""")

# Words between double underscores that are commands to MediaWiki, such as __NOTOC__, in upper or lower case.
SWITCHES = _names("""
abschnitte_nicht_bearbeiten, alltidinnehållsförteckning, aucunegalerie, aucunetdm, aucunsommaire,
bez_galerije, bez_izmena, bez_izmjena, bez_sadržaja, bezcc, bezeditovatčást, bezedycjisekcji, bezgalerie,
bezgalerii, bezgalerije, bezizmena, bezizmjena, bezkn, bezkonverzenadpisu, bezkonverzeobsahu, bezks,
bezobsahu, bezpretvaranjanaslova, bezpretvaranjasadržaja, bezsadržaja, bezspisu, beztc,
bezuređivanjaodlomaka, bpn, bps, brezgalerije, brezkazalavsebine, brezurejanjarazdelkov, capgaleria,
captaula, cuprins, faraconvertirecontinut, faraconvertiretitlu, faracuprins, faraeditsectiune, faragalerie,
fcc, fct, forcarsumario, forcartdc, forceerinhoud, forcersommaire, forcertdm, forcetoc, forsirani_sadržaj,
forsiranisadržaj, forteazacuprins, forzar_tdc, forzartdc, forzartoc, forçarsumário, forçartdc, forçataula,
geen_galerij, geenic, geeninhoud, geeninhoudconversie, geenpaginanaamconversie, geentc, geentitelconversie,
ingeninnehållsförteckning, ingetgalleri, inhaltsverzeichnis, inhaltsverzeichnis_erzwingen, inhoud,
inhoud_dwingen, innehållsförteckning, interedigerasektion, kein_inhaltsverzeichnis, keine_galerie,
keine_inhaltskonvertierung, keine_titelkonvertierung, keinegalerie, keininhaltsverzeichnis,
legyentartalomjegyzék, legyentj, naoeditarsecao, nietbewerkbaresectie, nincsgaléria, nincsszerk,
nincsszerkesztés, nincstartalomjegyzék, nincstj, no_editar_sección, nocc, nocontentconvert,
noconvertircontenido, noconvertirtitulo, noconvertirtítulo, noeditarseccion, noeditarsección, noeditsection,
nogaleria, nogalería, nogallery, notaula, notc, notdc, notitleconvert, notoc, nãoeditarseção, obsah,
poglavje, primorani_sadržaj, primoranisadržaj, resum, sadržaj, sanscc, sansconversioncontenu,
sansconversiontitre, sansct, seccionoeditable, secciónoeditable, sectionnoneditable, semcc,
semconverterconteudo, semconverterconteúdo, semconvertertitulo, semconvertertítulo, semct, semeditarsecao,
semeditarseção, semgaleria, semsumário, semtdc, sin_galería, sin_tdc, sommaire, spis, sumario, sumário,
tartalomjegyzék, taula, tdc, tdm, tj, toc, uključisadržaj, vsilikazalovsebine, vždyobsah, wymuśspis,
zespisem, без_галереи, без_галереї, без_галерије, без_змісту, без_измена, без_измјена, без_огл,
без_оглавления, без_перетворення_заголовку, без_перетворення_тексту, без_преобразования_заголовка,
без_преобразования_текста, без_редагув_розділу, без_редактиране_на_раздели, без_редактирования_раздела,
без_садржаја, безгалерия, безгалерије, безизмена, безизмјена, безкн, безкс, безсадржаја, безсъдържание,
безцц, зміст, обов_зміст, обяз_огл, обязательное_оглавление, огл, оглавление, приморани_садржај,
приморанисадржај, садржај, съдържание, съссъдържание, форсирани_садржај, форсиранисадржај
""")
# Such words in upper case only: `__index__` is a name of Python's.
CASED_SWITCHES = _names("""
ARCHIVEDTALK, ASCUNDECAT, AUCUNINDEX, AUCUNLIENNOUVELLESECTION, BEGRIFFSKLÄRUNG, BEZINDEKSA, BEZKAZALA,
BEZLINKUPŘIDATKOMENTÁŘ, BEZNOVEVEZEODELJKA, BEZ_INDEKSA, BEZ_NOVE_VEZE_ODELJKA, BREZKAZALA, CAPINDEX,
CATAMAGADA, CATCACHEE, CATEGORIAOCULTA, CATEGORÍAOCULTA, CATOCULTA, DISAMBIG, DISAMBIGUACION,
DISAMBIGUACIÓN, DOLDKAT, ENLACECREARSECCIÓN, EXPECTED_UNCONNECTED_PAGE, EXPECTUNUSEDCATEGORY,
EXPECTUNUSEDTEMPLATE, FARAINDEX, FARALEGATURASECTIUNENOUA, GEENINDEX, GEENNIEUWESECTIELINK,
GEENNIEUWKOPJEKOPPELING, GEENNIEUWKOPJEVERWIJZING, HIDDENCAT, HOMONYMIE, INDEKS, INDEKSUJ, INDEX, INDEXAR,
INDEXERA, INDEXIEREN, INDEXOVAT, INDICE, INDIZIEREN, INTEINDEXERA, KATEGORIAUKRYTA, KAZALO, KEIN_INDEX,
KEIN_NEUER_ABSCHNITTSLINK, KEIN_PLUS_LINK, LEGATURASECTIUNENOUA, LIENNOUVELLESECTION, LIGACAODENOVASECAO,
LIGAÇÃODENOVASEÇÃO, LINKDENOVASECAO, LINKDENOVASEÇÃO, LINKNOWEJSEKCJI, LINKPŘIDATKOMENTÁŘ, NAOINDEXAR,
NEINDEXOVAT, NEPOMIČNOPREUSMJERAVANJE, NEUER_ABSCHNITTSLINK, NEWSECTIONLINK, NICHT_INDEXIEREN,
NICHT_INDIZIEREN, NIEINDEKSUJ, NIEUWESECTIEKOPPELING, NIEUWESECTIELINK, NINCSINDEX, NINCSÚJSZAKASZHIV,
NINCSÚJSZAKASZLINK, NOGLOBAL, NOINDEX, NOINDEXAR, NOINDICE, NONEWSECTIONLINK, NOTALK, NOVAVEZAODELJKA,
NOVA_VEZA_ODELJKA, NOVINCULARANUEVASECCION, NOVIODLOMAKPOVEZNICA, NYTTAVSNITTLÄNK, NÃOINDEXAR,
PERMANENTE_WEITERLEITUNG, PLUS_LINK, REDIRECCIOESTATICA, REDIRECCIONESTATICA, REDIRECCIÓESTATICA,
REDIRECCIÓNESTÁTICA, REDIRECIONAMENTOESTATICO, REDIRECIONAMENTOESTÁTICO, REDIRECTIONARESTATICA,
REDIRECTIONSTATIQUE, REJTETTKAT, REJTETTKATEGÓRIA, SAKRIVENAKAT, SAKRIVENAKATEGORIJA, SEMLIGACAODENOVASECAO,
SEMLIGAÇÃODENOVASEÇÃO, SEMLINKDENOVASECAO, SEMLINKDENOVASEÇÃO, SINENLACECREARSECCIÓN, SKRITAKATEGORIJA,
SKRIVENAKAT, SKRÝTKAT, STATICKÉPŘESMĚROVÁNÍ, STATICNAPREUSMERITEV, STATICREDIRECT, STATIKUSÁTIRÁNYÍTÁS,
STATISCHEDOORVERWIJZING, STATISCHEREDIRECT, STATISKOMDIRIGERING, STATIČKOPREUSMERENJE, VERBORGENCAT,
VERSTECKTE_KATEGORIE, VINCULARANUEVASECCION, WARTUNGSKATEGORIE, ÁLLANDÓÁTIRÁNYÍTÁS, ÚJSZAKASZHIV,
ÚJSZAKASZLINK, ІНДЕКС, БЕЗ_ІНДЕКСУ, БЕЗ_ИНДЕКСА, БЕЗ_НОВЕ_ВЕЗЕ_ОДЕЉКА, БЕЗ_ПОСИЛАННЯ_НА_НОВИЙ_РОЗДІЛ,
БЕЗ_ССЫЛКИ_НА_НОВЫЙ_РАЗДЕЛ, БЕЗИНДЕКСА, БЕЗИНДЕКСИРАНЕ, БЕЗНОВЕВЕЗЕОДЕЉКА, ВРЪЗКА_ЗА_НОВ_РАЗДЕЛ, ИНДЕКС,
ИНДЕКСИРАНЕ, НОВА_ВЕЗА_ОДЕЉКА, НОВАВЕЗАОДЕЉКА, ПОСИЛАННЯ_НА_НОВИЙ_РОЗДІЛ, ПРИХОВ_КАТ, ПРИХОВАНА_КАТЕГОРІЯ,
САКРИВЕНАКАТ, СКРИТАКАТЕГОРИЯ, СКРЫТАЯ_КАТЕГОРИЯ, ССЫЛКА_НА_НОВЫЙ_РАЗДЕЛ, СТАТИЧЕСКОЕ_ПЕРЕНАПРАВЛЕНИЕ,
СТАТИЧКОПРЕУСМЕРЕЊЕ, СТАТИЧНЕ_ПЕРЕНАПРАВЛЕННЯ
""")

DISAMBIGUATION_SWITCH = re.compile("__(?:DISAMBIG|BEGRIFFSKLÄRUNG|HOMONYMIE|DISAMBIGUACI[OÓ]N)__")
# The templates by which a page says that it lists the pages of one name.
DISAMBIGUATION = _names("""
disambig, disambiguation, dab, disamb, hndis, geodis, mathdab, schooldis, numberdis, roaddis, wpdis,
begriffsklärung, bks, homonymie, homonymes, patronyme, toponyme, paronymie, internationalisation,
desambiguación, desambiguacion, des, disambigua, desambiguação, desambig, dp, doorverwijspagina,
ujednoznacznienie, неоднозначность, disambigp, багатозначність, disambigg, однофамильцы, тёзки, förgrening,
gren, robotskapad förgrening, rozcestník, flertydig, razdvojba, višeznačna odrednica, egyért,
egyértelműsítő lap, dezambiguizare, dezamb, razločitev, вишезначна одредница, вишезначност, взо, пояснение,
пояснителна страница, desambiguació, desambigua, неоднозначність
""")


def is_disambiguation(template: str) -> bool:
    """Tell whether `template`, in lower case, says that its page is a disambiguation page.

    Templates that mark a link to such a page, or name one with the same title, do not.
    """
    name = template.partition("|")[0].strip()
    return name in DISAMBIGUATION or name.endswith(" disambiguation") or name.startswith(_DISAMBIGUATES)


_DISAMBIGUATES = ("disambiguation page", "disambiguation cleanup", "rozcestník ", "förgrening ", "egyért-")


# How the names of citation templates begin; the web addresses in these are the page's references.
CITATIONS = (
    "cite", "citation", "vcite", "cita ", "citar", "citáz", "citace", "cytuj", "citat ", "citeer", "cit web",
    "literatur", "internetquelle", "lien web", "ouvrage", "article", "lien brisé", "книга", "статья",
    "публикация", "навођење", "cite", "цитат ", "webref", "webbref", "bokref", "tidskriftsref", "hiv-web",
    "ref-web", "ref-llibre", "ref-publicació", "ref-notícia", "kilde", "navedi", "citiraj", "navod",
)  # fmt: skip

# Templates whose words stay: those whose text is their first argument, their second, or their last, and those
# that stand for a fixed text. Then the names that {{convert}} gives to units.
FIRST = _names("""
nowrap, nobr, nobreak, nobold, noitalic, nobreaks, small, smaller, big, large, larger, sc, sc2, small caps,
smallcaps, allcaps, sub, em, strong, strike, underline, overline, abbr, abbrv, abbrlink, tooltip,
vanchor, visible anchor, visibleanchor, mvar, math, mathbf, bigmath, var, varserif, tt,
code, codes, mono,
kbd, samp, pre, quote, cquote, bquote, blockquote, quotation, block quote, blockindent,
rquote, poemquote, poem quote, centered pull quote, center, indent, resize, font, sic, not a typo,
as written, nts, number, formatnum, flag, flagcountry, flagu, nastaliq, semitic, unicode,
polytonic, plainlist, flatlist, plain list, columns-list, usurped, ipa, ipa link, ipalink,
ipaslink, ipa soft, music note, railgauge, track gauge, longitem, zitat, citation bloc, cita,
citazione, citação, citat, цитата, цитат, cytat, citát, comment, нобр, нет переносов, число,
fmt, ind, szám, citaat, citació, idézet, navedek, versalita, versales, maiuscoletto,
petites capitales, afi, api, esd, nq, midsize, vr, ruby, quote1, bq, tq, ié, nobel, hilite, highlight, kern,
bold, italic, ital, gras, italique, hebrew, arabic, stylized, мфа, msapi, api-fr, комент, polytonisch,
refnec, référence nécessaire, référence souhaitée, refsou, citazione necessaria, senza fonte, нет аи 2, abr,
abréviation, abréviation discrète, abrd, nombre romain, chiarire, tutto attaccato,
tuttoattaccato, senzafonte, da chiarire, fuente requerida, carece de fuentes,
clarify span, citation needed span, cn-span, vague span, fact span, недостоверно, не ясно, нет источника,
неясно 2, источник?, sic 2, sans retour à la ligne, incise,
passage non neutre, non neutre, passage évasif, évasif, pas clair, à préciser, précision nécessaire,
vérification nécessaire, référence à confirmer, référence insuffisante, source insuffisante,
interprétation personnelle, nobl, nie łam, term, uvod,
nowrap begin text, nobr2
""")
SECOND = _names("""
lang, langr, langx, langue, script, cizojazyčně, vjazyce2, foreign, jezik, rtl-lang, native name, color,
font color, fontcolor, fgcolor, colore, cor, couleur, farbe, kolor, цвет, цвят, боја, boja, kleur,
barva, culoare, színes, farve, färg, hover title, h:title,
sort, wikt-lang, wt, w języku, språk
""")
LAST = _names("transl, translit, transliteration, translation, tlit")
SPACED = {
    "nbsp": " ", "space": " ", "spaces": " ", "thinsp": " ", "hairsp": " ", "nnbsp": " ", "emsp": " ",
    "ensp": " ", "snd": " – ", "snds": " – ", "spnd": " – ", "spaced ndash": " – ", "ndash": "–",
    "endash": "–", "en dash": "–", "mdash": "—", "emdash": "—", "em dash": "—", "mdashb": "—", 
    "dash": " – ",
    "–": " – ", "—": " — ", "·": " · ", "dot": " · ", "•": " • ", "bullet": " • ", "\\": " / ",
    "pipe": "|", "!": "|", "=": "=", "'": "'", "'s": "'s", "' \"": "' \"", "\" '": "\" '", "pi": "π",
    "times": "×", "minus": "−", "zwj": "", "zwnj": "", "wbr": "", "shy": "",
    "circa": "c.", "c.": "c.", "ca.": "c.", "ca": "c.",
    "1er": "1er", "1re": "1re", "ère": "ère", "n°": "n°", "no.": "No.", "av jc": "av. J.-C.",
    "av. j.-c.": "av. J.-C.", "ap. j.-c.": "apr. J.-C.", "h-": "", "(!": "{|", "!)": "|}", "ft": "ft",
    "sic": "[sic]", "eqm": "⇌", "carbon": "C", "hydrogen": "H", "oxygen": "O", "nitrogen": "N", "lbrace": "{",
    "rbrace": "}", "bracket": "[", "lsqb": "[", "rsqb": "]", "hash": "#",
    "m s.l.m.": "m s.l.m.", "s.l.m.": "s.l.m.", "m n.p.m.": "m n.p.m.", "m n. m.": "m n. m.",
    "msnm": "m s. n. m.", "m s. n. m.": "m s. n. m.", "(": "{", ")": "}", "((": "{{", "))": "}}",
    "!!": "||", "!-": "|-",
}  # fmt: skip
# Templates that write a word before their argument.
BEFORE = {
    "née": "née", "nee": "née", "né": "né", "ne": "né", "geb.": "geb.", "born": "born", "fl.": "fl.",
    "floruit": "fl.", "reign": "r.", "died": "d.", "r.": "r.",
}  # fmt: skip
UNITS = {
    "sqmi": "sq mi", "sqft": "sq ft", "sqyd": "sq yd", "cuft": "cu ft", "cuin": "cu in", "cuyd": "cu yd",
    "cumi": "cu mi", "km2": "km²", "m2": "m²", "cm2": "cm²", "mm2": "mm²", "km3": "km³", "m3": "m³",
    "cm3": "cm³", "C": "°C", "F": "°F", "K": "K", "C-change": "°C", "F-change": "°F", "kn": "knots",
    "nmi": "nautical miles", "acre": "acres", "mi": "miles", "foot": "ft", "mile": "miles", "inch": "in",
    "oilbbl": "barrels", "koilbbl": "thousand barrels", "Moilbbl": "million barrels",
    "Goilbbl": "billion barrels", "oilbbl/d": "barrels per day", "koilbbl/d": "thousand barrels per day",
    "Moilbbl/d": "million barrels per day", "PD/sqmi": "per sq mi", "PD/km2": "per km²",
    "/sqmi": "per sq mi", "/km2": "per km²", "ha": "hectares",
    "metre": "metres", "meter": "meters", "kilometre": "kilometres", "kilometer": "kilometers",
    "yard": "yards", "pound": "pounds",
    "LT": "long tons", "ST": "short tons", "t": "tonnes", "MT": "tonnes", "lbf": "lbf", "floz": "fl oz",
    "USgal": "US gallons", "impgal": "imp gallons", "m/s2": "m/s²", "ft2": "sq ft", "psi": "psi", "deg": "°",
    "kph": "km/h",
}  # fmt: skip

# The same names where units are not written in English.
OTHER_UNITS = {
    "C": "°C", "F": "°F", "sqmi": "mi²", "sqft": "ft²", "sqyd": "yd²", "sqin": "in²", "cuft": "ft³",
    "cuin": "in³", "cuyd": "yd³", "cumi": "mi³", "kn": "kn", "deg": "°", "foot": "ft", "mile": "mi",
    "inch": "in", "/km2": "/km²", "/sqmi": "/mi²", "PD/km2": "/km²", "PD/sqmi": "/mi²",
}  # fmt: skip


# MediaWiki's words that open a redirect, for dumps that do not mark it otherwise.
REDIRECTS = _names("""
redirect, пренасочване, виж, přesměruj, omdirigering, weiterleitung, redirección, redireccion, redirection,
preusmjeri, átirányítás, rinvia, rinvio, rimando, doorverwijzing, patrz, przekieruj, tam, redirecionamento,
redirecteaza, перенаправление, перенапр, preusmeritev, преусмери, преусмјери, preusmeri, перенаправлення
""")
