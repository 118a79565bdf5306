-- Forgets keys that were kept long enough, a thousand at a time, and leaves those that others are forgetting. Called by accept. Index
-- accepted_key_accepted. $1 accepted until then.
delete from hence.accepted_key where key = any(array(
  select k.key from hence.accepted_key k where k.accepted_at <= $1::bigint order by k.accepted_at limit 1000 for update skip locked));
