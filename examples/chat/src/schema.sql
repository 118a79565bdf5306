-- The tables of the chat back end; run each time it opens its database.
-- Instants are RFC 3339 in UTC with milliseconds, so that they sort as text.

create table if not exists account (
    id          integer primary key,
    email       text    not null,
    timezone    text    not null,
    created_at  text    not null,
    trial_days  integer not null,
    paid_at     text,
    status      text    not null check (status in ('trial', 'paid', 'deactivated', 'closed'))
) strict;

create table if not exists widget_hit (
    account_id  integer not null references account (id),
    at          text    not null,
    hits        integer not null
) strict;

create index if not exists widget_hit_by_account on widget_hit (account_id, at);

-- What Hence was not told yet, in the order in which it happened; `event` is null for an enrolment.
create table if not exists outbox (
    number      integer primary key autoincrement,
    account_id  integer not null references account (id),
    event       text,
    at          text    not null,
    content     text    not null,
    facts       text    not null,
    problem     text
) strict;

create index if not exists outbox_by_account on outbox (account_id, number);

-- What was answered to each webhook, so that the same one is answered the same and carried out once.
create table if not exists webhook_answer (
    id          text    primary key,
    status      integer not null,
    body        text    not null
) strict, without rowid;

-- Every webhook that came with a good signature, also the repeated ones.
create table if not exists webhook_log (
    number      integer primary key autoincrement,
    id          text    not null,
    account     text    not null,
    attempt     integer,
    at          text    not null,
    status      integer not null,
    answered    text    not null
) strict;
