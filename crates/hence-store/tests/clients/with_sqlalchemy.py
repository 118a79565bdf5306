"""Tells by SQLAlchemy over psycopg2: commit, rollback, savepoint, a bulk insert into an attached table. Argument: the address."""

import sys

from sqlalchemy import Column, MetaData, Table, Text, create_engine, exc, text

engine = create_engine(sys.argv[1].replace("postgres://", "postgresql+psycopg2://", 1))
tell = text("select hence.event_v1(:entity, :name)")
about = {"entity": "account/sqlalchemy"}

with engine.begin() as connection:
    connection.execute(tell, {**about, "name": "committed"})
with engine.connect() as connection:
    transaction = connection.begin()
    connection.execute(tell, {**about, "name": "rolled.back"})
    transaction.rollback()
with engine.begin() as connection:
    connection.execute(tell, {**about, "name": "kept"})
    savepoint = connection.begin_nested()
    connection.execute(tell, {**about, "name": "taken.back"})
    savepoint.rollback()
account = Table("account", MetaData(), Column("id", Text, primary_key=True), Column("email", Text))
rows = [{"id": f"sqlalchemy{number}", "email": "a@example.com"} for number in range(1, 2501)]
with engine.begin() as connection:
    connection.execute(account.insert(), rows)
try:
    with engine.begin() as connection:
        connection.execute(tell, {**about, "name": "Wrong Name"})
except exc.DBAPIError as error:
    print(error.orig.pgcode, error.orig.diag.message_detail)
