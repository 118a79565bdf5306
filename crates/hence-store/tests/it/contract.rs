//! Goal: the functions and views that programs use stay as they are documented. Method: names, arguments, columns and comments are read from
//! the catalogue of a new store and compared with the generated part of `docs/reference/sql.md`; a change of the contract must show there.

use std::path::Path;

use crate::sites::InPostgres;

/// From here on the page is what the catalogue says.
const MARK: &str = "<!-- From here on as the database says it; a test compares. -->\n";

const CONTRACT: &str = r"
with functions as (
  select p.proname as name, E'### `hence.' || p.proname || E'`\n\n```sql\nhence.' || p.proname || '(' || replace(pg_get_function_arguments(p.oid), ', ', E',\n  ')
    || E')\n  returns ' || pg_get_function_result(p.oid) || E'\n```\n\n' || obj_description(p.oid, 'pg_proc') as text
  from pg_proc p where p.pronamespace = 'hence'::regnamespace and p.proname like '%\_v1'),
views as (
  select c.relname as name, E'### `hence.' || c.relname || E'`\n\n' || obj_description(c.oid, 'pg_class') || E'\n\n| column | type | |\n|---|---|---|\n'
    || (select string_agg('| `' || a.attname || '` | ' || replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
      || ' | ' || col_description(c.oid, a.attnum) || ' |', E'\n' order by a.attnum)
      from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as text
  from pg_class c where c.relnamespace = 'hence'::regnamespace and c.relkind = 'v')
select E'## Functions\n\n' || (select string_agg(f.text, E'\n\n' order by f.name) from functions f)
  || E'\n\n## Views\n\n' || (select string_agg(v.text, E'\n\n' order by v.name) from views v)";

#[test]
fn functions_and_views_are_those_of_the_reference_page() {
    let site = InPostgres::new(8);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sql.md");
    let written = std::fs::read_to_string(&page).unwrap();
    let (before, _) = written.split_once(MARK).expect("the page has the mark");
    let found = format!("{before}{MARK}\n{}\n", site.sql(CONTRACT));
    if written != found {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sql.md");
        std::fs::write(&new, &found).unwrap();
        panic!("docs/reference/sql.md is not what the database says; it should be {}", new.display());
    }
}
