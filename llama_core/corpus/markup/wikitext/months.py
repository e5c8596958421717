"""The names of months and of days in the paper's 20 languages, and days as each language writes them."""

_SPLIT = {
    "bg": "януари февруари март април май юни юли август септември октомври ноември декември",
    "ca": "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre",
    "cs": "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "hr": "siječanj veljača ožujak travanj svibanj lipanj srpanj kolovoz rujan listopad studeni prosinac",
    "hu": "január február március április május június július augusztus szeptember október november december",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "ro": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "ru": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "sl": "januar februar marec april maj junij julij avgust september oktober november december",
    "sr": "јануар фебруар март април мај јун јул август септембар октобар новембар децембар",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "uk": "січень лютий березень квітень травень червень липень серпень вересень жовтень листопад грудень",
}
_OF = {  # the genitive, where it differs
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "hr": "siječnja veljače ožujka travnja svibnja lipnja srpnja kolovoza rujna listopada studenoga prosinca",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada "
    "grudnia",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "sl": "januarja februarja marca aprila maja junija julija avgusta septembra oktobra novembra decembra",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "nl": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
}
MONTHS = {language: names.split() for language, names in _SPLIT.items()}
OF_MONTHS = MONTHS | {language: names.split() for language, names in _OF.items()}
DAYS = {language: names.split() for language, names in _DAYS.items()}
_NUMBERS = {
    name.lower(): number
    for names in (*MONTHS.values(), *OF_MONTHS.values())
    for number, name in enumerate(names, 1)
    if name not in ("listopad", "listopada", "листопад", "srpanj", "srpnja")  # not the same month everywhere
}
# Between the parts of a date: {day} {month} {year}.
_DATES = {
    "ca": "{d} {of}{m} de {y}", "cs": "{d}. {m} {y}", "da": "{d}. {m} {y}", "de": "{d}. {m} {y}",
    "en": "{m} {d}, {y}", "es": "{d} de {m} de {y}", "hr": "{d}. {m} {y}.", "hu": "{y}. {m} {d}.",
    "pt": "{d} de {m} de {y}", "sl": "{d}. {m} {y}", "sr": "{d}. {m} {y}.",
}  # fmt: skip


def month_number(word: str, language: str = "en") -> int:
    """Return the number of a month that is written as a number or as a name, else 0."""
    word = word.strip().rstrip(".").lower()
    if word.isascii() and word.isdigit() and len(word) < 3:
        number = int(word)
        return number if 1 <= number <= 12 else 0
    own = [name.lower() for name in (*MONTHS.get(language, ()), *OF_MONTHS.get(language, ()))]
    if word in own:
        return own.index(word) % 12 + 1
    if word in _NUMBERS:
        return _NUMBERS[word]
    short = [name.lower()[:3] for name in MONTHS["en"]]
    return short.index(word) + 1 if word in short else 0


def date(year: str, month: int, day: str, language: str) -> str:
    """Return a date as running text writes it. `month`: its number. `day` may be empty."""
    year, day = year.strip(), day.strip().removesuffix(".")
    day = day.lstrip("0") if day.isdigit() else day
    if not day:
        name = MONTHS.get(language, MONTHS["en"])[month - 1]
        return f"{year}. {name}" if language == "hu" else f"{name} {year}".strip()
    name = OF_MONTHS.get(language, OF_MONTHS["en"])[month - 1]
    if language == "fr" and day == "1":
        day = "1er"
    form = _DATES.get(language, "{d} {m} {y}")
    if not year:
        form = form.partition(" {y}")[0].removesuffix(",").removesuffix(" de")
        form = form.replace("{y}. ", "")
    of = "d'" if name[0] in "ao" else "de "
    return form.format(d=day, m=name, y=year, of=of).strip()
