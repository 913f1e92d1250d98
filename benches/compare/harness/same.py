"""Whether everybody who filters yields the same, before anything is measured; and what of the text each of them changes.

The expected answer comes from the five rules stated once more, in Python, over JSON whose numbers stay text.
"""

import json
import urllib.request

from rig import Refused
from targets import AUTHORIZATION, LARGE_AMOUNT, TARGETS, WORKLOADS, fields


class Number(str):
    """A number as it is written."""


def parse(text):
    """Objects keep their order; numbers stay text."""
    return json.loads(text, parse_int=Number, parse_float=Number)


def fetch(url):
    request = urllib.request.Request(url, headers={"Authorization": AUTHORIZATION})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode()


def expected(document, rules):
    """What the caller may see of a page or a record."""
    if "data" in document:
        return {"data": [visible(deal, rules) for deal in document["data"]], "page": document["page"]}
    return visible(document, rules)


def visible(deal, rules):
    names = shown_fields(deal, rules)
    return {key: value for key, value in deal.items() if key == "id" or key in names}


def shown_fields(deal, rules):
    """The names of the fields that the five rules show of a record."""
    is_own = int(deal["owner_id"]) == rules["caller_crm_id"]
    sets = rules["sets"]
    names = set(sets["open"])
    if is_own:
        names.update(sets["contact"])
    if deal["stage"] in rules["open_stages"] and (is_own or float(deal["amount"]) <= LARGE_AMOUNT):
        names.update(sets["money"])
    return names


def differences(found, wanted, place, changed):
    """Walks two documents. What differs in meaning is returned; what only differs in text is counted by kind."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if list(found) != list(wanted):
            if set(found) != set(wanted):
                return [f"{place}: {sorted(set(found) ^ set(wanted))} are shown by one only"]
            count(changed, "order of keys", place)
        return [line for key in wanted for line in differences(found[key], wanted[key], f"{place}.{key}", changed)]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = zip(found, wanted)
        return [line for at, (a, b) in enumerate(pairs) for line in differences(a, b, f"{place}[{at}]", changed)]
    if found == wanted and type(found) is type(wanted):
        return []
    if isinstance(found, Number) and isinstance(wanted, Number):
        # More digits than a float holds: JSON parsers that make floats cannot keep them.
        if len(wanted.lstrip("-").replace(".", "")) > 15:
            count(changed, "digits of large numbers", place, f"{wanted} → {found}")
        elif float(found) == float(wanted):
            count(changed, "text of numbers", place, f"{wanted} → {found}")
        else:
            return [f"{place}: {found} for {wanted}"]
        return []
    if wanted == [] and found == {}:
        count(changed, "empty array becomes object", place)
        return []
    return [f"{place}: {found!r} for {wanted!r}"]


def kept_escapes(source, wanted):
    """How many `\\u…` of the source are in what is shown: each record has the same number, in a field that all may see."""
    shown = len(wanted["data"]) if "data" in wanted else 1
    return source.count(r"\u") // max(1, source.count('"id":')) * shown


def count(changed, kind, place, example=None, times=1):
    entry = changed.setdefault(kind, {"count": 0, "example": example or place.rpartition(".")[2]})
    entry["count"] += times


def check(rig):
    """Refuses to measure what does not do the same. Returns what each changes of the list's text, and sizes."""
    rules, told = fields(), {}
    for workload in WORKLOADS:
        source = fetch(rig.url("direct", workload, False))
        wanted = expected(parse(source), rules)
        for name, (title, filters, _) in TARGETS.items():
            text = fetch(rig.url(name, workload, False))
            changed = {}
            if not filters:
                wrong = [] if text == source else ["the body is not the upstream's"]
            else:
                wrong = differences(parse(text), wanted, "$", changed)
            if wrong:
                raise Refused(f"{title} does not do the same ({workload}):\n" + "\n".join(wrong[:5]))
            escapes = kept_escapes(source, wanted)
            if filters and text.count(r"\u") != escapes:
                count(changed, "escapes of strings", "$", r"\u2013 → –", abs(text.count(r"\u") - escapes))
            told.setdefault(workload, {})[name] = {"bytes": len(text.encode()), "changed": changed}
    return told
