"""One database in a process of its own: it serves, keeps in sync with others, and stores readings as it is told.

Its standard input has one order a line: a number, to be stored; ``heads``; ``stop``. What it has done it says on
standard output: the number, once it is stored; its heads.
"""

from __future__ import annotations

import json
import sys

import scoutcore
from scoutcore.replication import Tls


def main() -> None:
    wanted = json.loads(sys.argv[1])
    secret = bytes.fromhex(wanted["secret"]) if wanted["secret"] else None
    tls = Tls(**wanted["tls"]) if wanted["tls"] else None
    with scoutcore.open(wanted["path"]) as db:
        if not db.troops:
            db.troops.create(key="the key of the troop that all gateways hear")
        (troop,) = [one.id for one in db.troops]
        with db.serve(wanted["listen"], secret=secret, tls=tls):
            for url in wanted["peers"]:
                db.sync(url, live=True, secret=secret, tls=tls)
            print("ready", flush=True)
            for line in sys.stdin:
                order = line.strip()
                if order == "stop":
                    return
                if order == "heads":
                    stats = db.stats()
                    print(json.dumps(sorted((log.log, log.head) for log in stats.logs if log.head)), flush=True)
                else:
                    number = int(order)
                    # Others hear the same packet: boot and ms tell that it is one.
                    db.report(troop, number % 5, "temp", number, boot=1, ms=number)
                    print(number, flush=True)


if __name__ == "__main__":
    main()
