-- Nodes that beat, and the one shard. The old lease was no more than who took it last; fences and epochs go on.

create table hence_node (
  name text primary key,
  beat integer not null,
  joined_at integer not null,
  beaten_at integer not null,
  is_leaving integer not null,
  notice text                 -- what people should know of it
) without rowid;

create table hence_shard (
  number integer primary key,
  epoch integer not null,
  holder text                 -- a node; null while it is free
);
insert into hence_shard (number, epoch, holder) values (0, 0, null);

drop table hence_lease;
