-- All nodes. Called by beat and ownership; the table is small: a row for each process.
select node, beat, joined_at, beaten_at, is_leaving, notice from hence.node order by node;
