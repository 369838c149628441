"""How Cairn is built: interpreted, unless CAIRN_NATIVE=1 asks for the modules below to be compiled from the same sources by mypyc.

mypyc needs a C compiler, Python's headers and the libraries that Cairn rests on, whose types it reads: hence `make native`, or
`CAIRN_NATIVE=1 pip install --no-build-isolation .` where `.[dev]` is installed. `make check-native` shows that both forms write the same
bytes.
"""

import os

from setuptools import setup

COMPILED = [
    "shared/exact.py",
    "shared/contracts/envelope.py",
    "shared/contracts/plain.py",
    "shared/ledger/turn.py",
    "shared/ledger/store.py",
    "shared/ledger/types.py",
    "shared/ledger/states.py",
    "shared/ledger/histories.py",
    "shared/consume/inward.py",
    "shared/consume/reader.py",
    "services/mastery/codec.py",
    "services/mastery/commands.py",
    "services/mastery/domain.py",
    "services/mastery/filter.py",
    "services/mastery/inputs.py",
    "services/mastery/judgements.py",
    "services/mastery/order.py",
    "services/mastery/projections.py",
    "services/mastery/refold.py",
    "services/mastery/rule.py",
    "services/mastery/state.py",
    "services/mastery/subscribers.py",
    "services/mastery/weigh.py",
]
"""Where the time goes, and no more: compiled, a dataclass tells its types otherwise and a class its functions, so that whatever pydantic or
psycopg looks at stays as it is (contracts, states kept as JSON, columns). A compiled class with a constructor of its own that goes to
another process says how, by `__reduce__` (`shared/ledger/types.py:Ask`)."""

EXACT = "-ffp-contract=off"
"""A product and a sum are rounded one after the other, as everywhere: estimates are held to the bit."""

if os.environ.get("CAIRN_NATIVE") == "1":
    from mypyc.build import mypycify

    os.environ["CFLAGS"] = f"{os.environ.get('CFLAGS', '')} {EXACT}".strip()
    setup(ext_modules=mypycify(COMPILED, opt_level="2", debug_level="0"))
else:
    setup()
