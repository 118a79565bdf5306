-- One definition. Called by definition. Primary key. $1 hash.
select d.hash, d.name, d.source, d.created_at,
  d.put_seq = (select max(o.put_seq) from hence.definition o where o.name = d.name)
from hence.definition d where d.hash = $1::text;
