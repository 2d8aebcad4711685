"""Names of months and days, and time zone abbreviations, as feeds and exports write them.

Names are lower case and without accents; `fold` brings a word into this form.
"""

import unicodedata
from datetime import timedelta


def fold(word: str) -> str:
    """Return a word in lower case, without accents and dots."""
    letters = unicodedata.normalize("NFKD", word.casefold().translate(_LETTERS))
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and letter != ".")


_LETTERS = str.maketrans({"ł": "l", "ø": "o", "æ": "ae"})  # without a decomposition in Unicode

# Of each month in English, German, French, Italian, Spanish, Portuguese, Dutch, Danish, Swedish, Finnish,
# Polish and Czech.
_MONTHS = {
    1: (
        "jan january januar janner janv janvier gen gennaio ene enero janeiro januari janua tammi "
        "tammikuu tammikuuta sty styczen stycznia led leden ledna"
    ),
    2: (
        "feb february februar fev fevr fevrier febbraio febrero fevereiro februari helmi helmikuu "
        "helmikuuta lut luty lutego uno unor unora"
    ),
    3: (
        "mar march marz mrz maerz mars marzo marco mrt maart marts maalis maaliskuu maaliskuuta "
        "marzec marca bre brezen brezna"
    ),
    4: (
        "apr april avr avril aprile abr abril huhti huhtikuu huhtikuuta kwi kwiecien kwietnia dub duben dubna"
    ),
    5: "may mai mag maggio mayo maio mei maj touko toukokuu toukokuuta maja kve kveten kvetna",
    6: (
        "jun june juni juin giu giugno junio junho kesa kesakuu kesakuuta cze czerwiec czerwca cvn "
        "cerven cervna"
    ),
    7: (
        "jul july juli juil juillet lug luglio julio julho heina heinakuu heinakuuta lip lipiec lipca "
        "cvc cervenec cervence"
    ),
    8: (
        "aug august aou aout ago agosto augustus augusti elo elokuu elokuuta sie sierpien sierpnia "
        "srp srpen srpna"
    ),
    9: (
        "sep sept september septembre set settembre septiembre setiembre setembro syys syyskuu "
        "syyskuuta wrz wrzesien wrzesnia zar zari"
    ),
    10: (
        "oct october okt oktober octobre ott ottobre octubre out outubro loka lokakuu lokakuuta paz "
        "pazdziernik pazdziernika rij rijen rijna"
    ),
    11: (
        "nov november novembre noviembre novembro marras marraskuu marraskuuta lis listopad listopada "
        "listopadu"
    ),
    12: (
        "dec december dez dezember decembre dic dicembre diciembre dezembro joulu joulukuu joulukuuta "
        "gru grudzien grudnia pro prosinec prosince"
    ),
}
MONTH_OF = {name: number for number, names in _MONTHS.items() for name in names.split()}

# The same words mean an earlier month in Croatian and its neighbours.
OTHER_MONTHS_IN_CROATIAN = frozenset("lip srp lis listopad listopada".split())
LIKE_CROATIAN = frozenset({"hr", "bs", "sr", "sh", "mk", "sl", "uk", "be", "lt"})

# In the same languages.
DAYS = frozenset(
    (
        "mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday "
        "saturday sunday mo di mi do fr sa so montag dienstag mittwoch donnerstag freitag samstag "
        "sonnabend sonntag lun mar mer jeu ven sam dim lundi mardi mercredi jeudi vendredi samedi "
        "dimanche gio sab dom lunedi martedi mercoledi giovedi venerdi sabato domenica mie jue vie "
        "lunes martes miercoles jueves viernes sabado domingo seg ter qua qui sex segunda terca "
        "quarta quinta sexta ma wo vr za zo maandag dinsdag woensdag donderdag vrijdag zaterdag "
        "zondag man tir ons tor tors fre lor son mandag tirsdag onsdag torsdag fredag lordag sondag "
        "tis tisdag ti ke to pe la su maanantai tiistai keskiviikko torstai perjantai lauantai "
        "sunnuntai maanantaina tiistaina keskiviikkona torstaina perjantaina lauantaina sunnuntaina "
        "pon pn wto wt sro sr czw cz pia pt pi sob nie niedz nd ndz poniedzialek wtorek sroda "
        "czwartek piatek sobota niedziela po ut st ct pa ne pondeli utery streda ctvrtek patek nedele"
    ).split()
)

FILLERS = frozenset(
    "uhr um kl klo at a de del den der le il el la alle ore o godz v am of on the op om feira".split()
)

# The zones of RFC 2822, and those that tools write. IST and AST have several meanings and are not here.
_HOURS_OF_ZONE = (
    "UTC 0, UT 0, GMT 0, Z 0, WET 0, EST -5, EDT -4, CST -6, CDT -5, MST -7, MDT -6, PST -8, "
    "PDT -7, AKST -9, AKDT -8, HST -10, NST -3.5, NDT -2.5, BRT -3, ART -3, WEST 1, BST 1, CET 1, "
    "CEST 2, MEZ 1, MESZ 2, MET 1, MEST 2, WAT 1, EET 2, EEST 3, MSK 3, TRT 3, EAT 3, CAT 2, "
    "SAST 2, IDT 3, PKT 5, WIB 7, ICT 7, HKT 8, SGT 8, AWST 8, PHT 8, JST 9, KST 9, ACST 9.5, "
    "ACDT 10.5, AEST 10, AEDT 11, NZST 12, NZDT 13"
)
OFFSET_OF_ZONE = {
    name: timedelta(hours=float(hours))
    for name, hours in (zone.split() for zone in _HOURS_OF_ZONE.split(", "))
}
