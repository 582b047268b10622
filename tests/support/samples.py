"""Writes sample customers as JSON to standard output: a list of objects with name, email, phone and address.

The people do not exist: Faker draws names, addresses and telephone numbers as each country writes
them. The seed is fixed, so every run gives the same list. Numbers are Japanese ones in national
notation or carry a country code, so that one default region (JP) makes all of them unambiguous.
"""

import json
import sys

from faker import Faker

COUNTRIES = {"ja_JP": 60, "es_ES": 20, "it_IT": 20, "fr_FR": 20}
SEED = 20240229


def customers(locale: str, count: int):
    fake = Faker(locale)
    fake.seed_instance(SEED)
    seen = set()
    while len(seen) < count:
        phone = fake.unique.phone_number()
        # The others ("+33 (0)1 …", "52-4135-0789") are not how such a number is dialled.
        if phone in seen or "(0)" in phone or not (phone.startswith("0" if locale == "ja_JP" else "+")):
            continue
        seen.add(phone)
        yield {
            "name": fake.name(),
            "email": fake.unique.ascii_safe_email(),
            "phone": phone,
            "address": fake.address().replace("\n", ", "),
        }


def main() -> None:
    people = [person for locale, count in COUNTRIES.items() for person in customers(locale, count)]
    json.dump(people, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
