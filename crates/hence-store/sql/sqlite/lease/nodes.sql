-- All nodes. Called by beat and ownership. Primary key, in order.
select name, beat, joined_at, beaten_at, is_leaving, notice from hence_node order by name;
