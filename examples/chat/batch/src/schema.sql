-- What the nightly jobs add to the tables of the chat back end: their memory of what they did already.
-- Instants are RFC 3339 in UTC with milliseconds, days are ISO dates where the customer lives.

-- One row for each mail of each account. `sent_at` is null from the claim until the mail server took the mail: after a crash
-- such a row says that nobody knows whether it went out.
create table if not exists trial_mail (
    account_id  integer not null references account (id) on delete cascade,
    kind        text    not null check (kind in ('trial_ending', 'trial_over', 'still_used')),
    claimed_at  text    not null,
    sent_at     text,
    primary key (account_id, kind)
) strict, without rowid;

-- One row for each account that was switched off because its trial was over.
create table if not exists trial_end (
    account_id  integer primary key references account (id) on delete cascade,
    ended_at    text    not null,
    ended_on    text    not null,
    -- When it was looked whether the script is still in use.
    looked_at   text
) strict;

-- The nightly select would otherwise read every account that ever was.
create index if not exists account_on_trial on account (id) where status = 'trial';
