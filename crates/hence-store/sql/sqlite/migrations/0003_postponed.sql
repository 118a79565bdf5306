-- Whose wishes were tried and stay in the inbox: since when, how often, until when, and why. Small: empty while all is well.

create table hence_postponed (
  entity integer primary key,
  since integer not null,
  tries integer not null,
  try_at integer not null,
  code text not null,
  message text not null
);
