"""Tells by psycopg 3: commit, rollback, savepoint, COPY into an attached table. Argument: the address of the database."""

import sys

import psycopg
from psycopg.types.json import Jsonb

with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("select hence.event_v1(%s, %s, %s)", ("account/psycopg", "committed", Jsonb({"amount": 7})))
    connection.commit()
    connection.execute("select hence.event_v1(%s, %s)", ("account/psycopg", "rolled.back"))
    connection.rollback()
    with connection.transaction():
        connection.execute("select hence.event_v1(%s, %s)", ("account/psycopg", "kept"))
        try:
            with connection.transaction():
                connection.execute("select hence.event_v1(%s, %s)", ("account/psycopg", "taken.back"))
                raise LookupError
        except LookupError:
            pass
    with connection.cursor().copy("copy account (id, email) from stdin") as copy:
        for number in range(1, 2501):
            copy.write_row((f"psycopg{number}", "a@example.com"))
    connection.commit()
    try:
        connection.execute("select hence.event_v1('account/psycopg', 'Wrong Name')")
    except psycopg.errors.DatabaseError as error:
        print(error.sqlstate, error.diag.message_detail)
