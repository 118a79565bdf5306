-- Whose wishes were tried and stay in the inbox: since when, how often, until when, and why. Small: empty while all is well.

create table hence.postponed (
  entity bigint primary key,
  since bigint not null,
  tries bigint not null,
  try_at bigint not null,
  code text not null,
  message text not null
);
