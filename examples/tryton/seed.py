"""Fills an empty Tryton database with the company that Lockkeeper's Tryton example talks about.

usage: seed.py RPC_URL ADMIN_PASSWORD_FILE OUT_DIR

Promises: the same records under the same ids on every empty database (days that Tryton itself sets, such as the end of
a lost opportunity, are the day of seeding), and two files in OUT_DIR that only their owner can read:

    seed.json       ids and the REST key of each user, for tests and demonstrations
    crm-keys.toml   the SHA-256 of each REST key and whose it is, for a Lockkeeper configuration

Never runs twice over one database: it stops when it finds an opportunity.
"""

import datetime
import hashlib
import json
import os
import sys
from decimal import Decimal
from pathlib import Path

from proteus import Model, config

# Login and display name. The names are roles: nobody real or invented is meant. The order gives the employee ids.
PEOPLE = {
    "rep-east": "Rep East",
    "rep-west": "Rep West",
    "manager": "Manager",
    "service": "Customer Service",
    "admin": "Admin",
}
# All of them may do everything with opportunities, parties and sales: a CRM whose own permissions are too coarse is
# what the example is about. Without `Sales` Tryton answers 404 as soon as the field `sales` is asked for.
GROUPS = ("Sale Opportunity", "Party Administration", "Sales")

CUSTOMERS = (
    ("Alder Logistics", "Harbour Street 1", "10115", "Berlin"),
    ("Basalt Foods", "Market Square 2", "20095", "Hamburg"),
    ("Cobalt Printing", "Mill Lane 3", "80331", "Munich"),
    ("Delta Orchards", "Station Road 4", "50667", "Cologne"),
    ("Elm Instruments", "Bridge Street 5", "60311", "Frankfurt"),
    ("Fjord Textiles", "Canal Walk 6", "70173", "Stuttgart"),
    ("Granite Tools", "Quarry Road 7", "40213", "Dusseldorf"),
    ("Heron Travel", "Airport Ring 8", "04109", "Leipzig"),
    ("Indigo Optics", "Lens Court 9", "01067", "Dresden"),
    ("Juniper Health", "Park Avenue 10", "28195", "Bremen"),
)

OPPORTUNITY_COUNT = 60
# Owner and final state of opportunity `n` are found at `n` modulo the length. The lengths have no common factor, so
# that both reps get opportunities in each state.
OWNERS = ("rep-east", "rep-west", "rep-east", "rep-west", "manager", "rep-east", "rep-west")
STATES = ("lead", "opportunity", "converted", "lead", "opportunity", "lost", "lead", "opportunity", "cancelled",
          "converted", "opportunity")
# Which buttons lead there from `lead`, the state of every new opportunity.
BUTTONS = {
    "lead": (),
    "opportunity": ("opportunity",),
    "converted": ("opportunity", "convert"),
    "lost": ("opportunity", "lost"),
    "cancelled": ("cancel",),
}
KINDS = ("renewal", "new business", "upsell", "trial")
FIRST_DAY = datetime.date(2026, 1, 5)


def main(url, password_file, out_dir):
    password = Path(password_file).read_text(encoding="utf-8").strip()
    # A session, because with Basic authentication each call would pay for a password hash.
    with config.set_xmlrpc_session(url, "admin", password) as session:
        if Model.get("sale.opportunity").find([], limit=1):
            sys.exit("seed.py: this database already holds opportunities; seed an empty one")
        company, currency = make_company(session)
        employees = make_employees(company)
        users = make_users(company, employees)
        customers = make_customers()
        opportunities = make_opportunities(company, currency, employees, customers)
        advance(opportunities)
        keys = make_keys(users)
        write_files(Path(out_dir), company, currency, employees, users, customers, opportunities, keys)


def make_company(session):
    """Makes the company and puts the administrator into it; without one Tryton refuses nearly everything."""
    currency = Model.get("currency.currency")(name="Euro", symbol="€", code="EUR")
    rate = currency.rates.new()
    rate.date, rate.rate = datetime.date(2026, 1, 1), Decimal(1)
    currency.save()
    party = Model.get("party.party")(name="Example Company")
    party.save()
    company = Model.get("company.company")(party=party, currency=currency)
    company.save()
    User = Model.get("res.user")
    admin, = User.find([("login", "=", "admin")])
    admin.companies.append(company)
    admin.company = company
    admin.save()
    session._context = User.get_preferences(True, {})
    return company, currency


def make_employees(company):
    Party, Employee = Model.get("party.party"), Model.get("company.employee")
    employees = {}
    for login, name in PEOPLE.items():
        party = Party(name=name)
        party.save()
        employees[login] = Employee(party=party, company=company)
        employees[login].save()
    return employees


def make_users(company, employees):
    """Gives each employee a user; all but `admin` have no password, so that their REST key is the only way in."""
    User, Group = Model.get("res.user"), Model.get("res.group")
    users = {}
    for login, name in PEOPLE.items():
        if login == "admin":
            user, = User.find([("login", "=", "admin")])
        else:
            user = User(login=login, name=name)
            user.companies.append(again(company))
            user.company = company
        for group in GROUPS:
            user.groups.append(only(Group, [("name", "=", group)]))
        user.employees.append(again(employees[login]))
        user.employee = employees[login]
        user.save()
        users[login] = user
    return users


def make_customers():
    Party = Model.get("party.party")
    customers = []
    for number, (name, street, postal_code, city) in enumerate(CUSTOMERS):
        customer = Party(name=name, code=f"C{number:03}")
        address = customer.addresses[0] if customer.addresses else customer.addresses.new()
        address.street, address.postal_code, address.city = street, postal_code, city
        for kind, value in (
            ("email", f"purchasing@{name.lower().replace(' ', '-')}.example"),
            ("phone", f"+12025550{100 + number}"),  # 555-01xx: numbers set aside for fiction
        ):
            mechanism = customer.contact_mechanisms.new()
            mechanism.type, mechanism.value = kind, value
        customer.save()
        customers.append(customer)
    return customers


def make_opportunities(company, currency, employees, customers):
    """Returns (owner, final state, opportunity) in the order of the ids."""
    Opportunity = Model.get("sale.opportunity")
    rows = []
    for n in range(OPPORTUNITY_COUNT):
        owner, state = OWNERS[n % len(OWNERS)], STATES[n % len(STATES)]
        customer = again(customers[n * 3 % len(customers)])
        opportunity = Opportunity(company=company, currency=currency, party=customer)
        opportunity.address = customer.addresses[0]
        opportunity.contact = customer.contact_mechanisms[0]
        opportunity.employee = employees[owner]
        opportunity.reference = f"REF-{n + 1:04}"
        opportunity.description = f"{customer.name}, {KINDS[n % len(KINDS)]}"
        opportunity.comment = f"Internal margin note: {5 + (n + 1) * 8 % 40}%"
        opportunity.amount = Decimal(5_000 + n * 7_919 % 245_000) + Decimal(n % 4) / 4
        opportunity.conversion_probability = (5 + n * 35 % 95) / 100
        opportunity.start_date = FIRST_DAY + datetime.timedelta(days=n)
        rows.append((owner, state, opportunity))
    Opportunity.save([opportunity for _, _, opportunity in rows])
    return rows


def advance(rows):
    """Presses the buttons that bring each opportunity into its state."""
    Opportunity = Model.get("sale.opportunity")
    for state, buttons in BUTTONS.items():
        chosen = [opportunity for _, wanted, opportunity in rows if wanted == state]
        for button in buttons:
            Opportunity.click(chosen, button)
        for opportunity in chosen:
            if (reached := Opportunity(opportunity.id).state) != state:
                sys.exit(f"seed.py: opportunity {opportunity.id} is `{reached}`, wanted `{state}`")


def make_keys(users):
    Application = Model.get("res.user.application")
    keys = {}
    for login, user in users.items():
        application = Application(user=user, application="rest")
        application.save()
        if application.state != "validated":
            application.click("validate_")
        keys[login] = application.key
    return keys


def write_files(out_dir, company, currency, employees, users, customers, rows, keys):
    def ids_where(test):
        return [opportunity.id for owner, state, opportunity in rows if test(owner, state)]

    seed = {
        "keys": keys,
        "employees": {login: employee.id for login, employee in employees.items()},
        "users": {login: user.id for login, user in users.items()},
        "opportunities": {login: ids_where(lambda owner, _: owner == login) for login in dict.fromkeys(OWNERS)},
        "states": {wanted: ids_where(lambda _, state: state == wanted) for wanted in BUTTONS},
        "first": rows[0][2].id,
        "parties": {customer.name: customer.id for customer in customers},
        "company": company.id,
        "currency": currency.id,
    }
    write_private(out_dir / "seed.json", json.dumps(seed, indent=1) + "\n")
    entries = (
        f"[[key]]\nprincipal = 'User::\"{login}\"'\nsha256 = \"{hashlib.sha256(key.encode()).hexdigest()}\"\n"
        for login, key in keys.items()
    )
    write_private(out_dir / "crm-keys.toml", "\n".join(entries))


def again(record):
    """Reads a record anew: proteus refuses to put one object into the lists of two others."""
    return type(record)(record.id)


def only(model, domain):
    found, = model.find(domain)
    return found


def write_private(path, text):
    """Writes a file that only its owner can read from its first byte on; the path must be free."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: seed.py RPC_URL ADMIN_PASSWORD_FILE OUT_DIR")
    main(*sys.argv[1:])
