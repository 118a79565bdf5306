-- All definitions, each name's current one last. Called by definitions; the table is small: a row for each version of a file.
select d.hash, d.name, d.source, d.created_at, d.put_seq = (select max(o.put_seq) from hence_definition o where o.name = d.name)
from hence_definition d order by d.name, d.put_seq;
